//! Create.

use std::sync::Arc;

use admission::Operation;
use jiff::Timestamp;
use kinds::validate::metadata::{metadata, standard_finalizers};
use meta::{Encoded, Object, Reason, Status};
use store::{Entry, Expect};

use super::commit::{Change, Outcome, check_size, default, request};
use super::update::writer;
use super::{lifecycle, namespace};
use crate::api::{Call, Written};
use crate::kind::Kind;
use crate::registry::Registry;
use crate::reservation::{self, Settlement, Taken};

/// Names tried for a `generateName` (as upstream).
const NAMES: usize = 8;

impl Registry {
    /// Creates an object; tries other names when a generated one is taken.
    pub(crate) async fn create_object(&self, call: &Call, kind: &Kind, mut object: Object) -> Result<Written, Status> {
        match lifecycle::dedup_owners(&mut object, true) {
            None => self.create_tidy(call, kind, object).await,
            Some(warning) => {
                let created = self.create_tidy(call, kind, object).await;
                let mut written = created.map_err(|status| status.warned([warning.clone()]))?;
                written.warnings.insert(0, warning);
                Ok(written)
            }
        }
    }

    async fn create_tidy(&self, call: &Call, kind: &Kind, object: Object) -> Result<Written, Status> {
        let prefix = object.str_at("metadata.generateName");
        if prefix.is_empty() {
            return self.create_named(call, kind, object, false).await;
        }
        if !object.name().is_empty() {
            // Upstream says the same as if it had made the name up.
            return self.create_named(call, kind, object, false).await.map_err(|status| match status.reason {
                Reason::AlreadyExists => name_conflict(kind, &status.name),
                _ => status,
            });
        }
        let mut last = None;
        for _ in 0..NAMES {
            match self.create_named(call, kind, object.clone(), false).await {
                Err(status) if status.reason == Reason::AlreadyExists => last = Some(status),
                other => return other,
            }
        }
        Err(last.map_or_else(Status::no_such_resource, |taken| name_conflict(kind, &taken.name)))
    }

    /// Creates an object once. Also the end of an update that creates. `tracked`: it says already who manages its
    /// fields.
    pub(super) async fn create_named(
        &self,
        call: &Call,
        kind: &Kind,
        object: Object,
        tracked: bool,
    ) -> Result<Written, Status> {
        let mut warnings = Vec::new();
        match self.create_checked(call, kind, object, tracked, &mut warnings).await {
            Ok(object) => Ok(Written { object, created: true, warnings }),
            Err(status) => Err(status.warned(warnings)),
        }
    }

    /// The same; `warnings` gets what whoever asks hears, also when it fails.
    async fn create_checked(
        &self,
        call: &Call,
        kind: &Kind,
        mut object: Object,
        tracked: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Arc<Encoded>, Status> {
        let rules = &*kind.descriptor.rules;
        if let Some(why) = rules.refuses_new() {
            return Err(Status::forbidden(kind.group(), kind.resource(), &call.attributes.name, why));
        }
        lifecycle::wipe_system_fields(&mut object);
        lifecycle::ensure_namespace(&mut object, kind.descriptor.namespaced, &call.attributes.namespace)?;
        default(kind, &mut object);
        if !tracked {
            writer(call, kind, "").created(&mut object, Timestamp::now());
        }
        let asked = &mut request(call, kind, Operation::Create, Some(&mut object), None);
        warnings.extend(self.mutate(asked).await?);
        default(kind, &mut object);
        lifecycle::fill_system_fields(&mut object, Timestamp::now());
        let taken = reservation::take(self.reservations(), &kind.descriptor, &mut object, None, call.dry_run)?;
        prepare(call, kind, &mut object);
        crate::long::steps(kind.descriptor.rules.effort(""), || check(kind, &object))?;
        rules.canonicalize(&mut object);
        warnings.extend(rules.warnings(&object, None));
        let asked = &mut request(call, kind, Operation::Create, Some(&mut object), None);
        warnings.extend(self.approve(asked).await?);
        // A dry run stores nothing, and so nothing is said; neither is it of what is no revision at all.
        if !call.dry_run && object.resource_version().parse().is_ok_and(|revision: u64| revision > 0) {
            let why = "resourceVersion should not be set on objects to be created";
            return Err(Status::new(Reason::Unknown, why));
        }
        self.store_new(call, kind, object, taken).await
    }

    async fn store_new(
        &self,
        call: &Call,
        kind: &Kind,
        object: Object,
        taken: Vec<Taken>,
    ) -> Result<Arc<Encoded>, Status> {
        let key = kind.store_key(object.namespace(), object.name());
        if call.dry_run {
            return match self.read(&key).await? {
                Some(entry) => Err(exists(kind, &object, Some(&entry))),
                None => Ok(kind.encode(object.key(), 0, &object)),
            };
        }
        let prepared = kind.prepare(&object).await?;
        check_size(&prepared, 0)?;
        let settlement = Settlement::new(self.reservations(), &kind.descriptor, taken, None, Some(&object));
        match self.commit_settled(kind, key, Expect::Absent, Change::Put(&prepared), settlement).await? {
            Outcome::Done(entry, _) => self.written(kind, &entry, &prepared.note).await,
            Outcome::Changed(now) => Err(exists(kind, &object, now.as_ref())),
        }
    }
}

/// Refuses an object with all that is wrong with it.
fn check(kind: &Kind, object: &Object) -> Result<(), Status> {
    let (rules, mut errors) = (&*kind.descriptor.rules, Vec::new());
    if rules.checks_metadata() {
        errors = metadata(object, kind.descriptor.namespaced, &|name, prefix| rules.validate_name(name, prefix));
        if rules.checks_finalizers() {
            standard_finalizers(object, &mut errors);
        }
    }
    errors.extend(rules.validate(object));
    if errors.is_empty() && !rules.checks_metadata() {
        // What holds for every kind: anything that fits into a path is a name.
        errors = metadata(object, kind.descriptor.namespaced, &|name, prefix| meta::text::path_segment(name, prefix));
    }
    if errors.is_empty() { Ok(()) } else { Err(kind.invalid(object.name(), &errors)) }
}

/// What the kind itself does between admission and validation.
fn prepare(call: &Call, kind: &Kind, object: &mut Object) {
    if kind.descriptor.rules.has_generation() {
        object.set("metadata.generation", 1);
    }
    if namespace::is_namespace(kind) {
        namespace::prepare_create(object);
    }
    kind.descriptor.rules.prepare_create(object, &call.context());
}

fn exists(kind: &Kind, object: &Object, there: Option<&Entry>) -> Status {
    let mut status = Status::already_exists(kind.group(), kind.resource(), object.name());
    if there.is_some_and(|entry| kind.is_ending(entry)) {
        status.message = format!("object is being deleted: {}", status.message);
    }
    status
}

fn name_conflict(kind: &Kind, name: &str) -> Status {
    let mut status = Status::already_exists(kind.group(), kind.resource(), name);
    status.message.push_str(", the server was not able to generate a unique name for the object");
    status.retry_after = 1;
    status
}
