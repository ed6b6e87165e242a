//! Update of an object or of a part of it: read, change, check, write, and again if somebody was faster.

use std::sync::Arc;

use admission::Operation;
use jiff::Timestamp;
use kinds::validate::metadata::{metadata, metadata_update};
use meta::field::{Error, Path};
use meta::{Encoded, Object, Reason, Status};
use store::{Entry, Expect};

use super::commit::{Change, Outcome, check_size, default, is_large, request};
use super::edit::Edit;
use super::{lifecycle, namespace};
use crate::api::{Call, Written};
use crate::apply::{self, Writer};
use crate::codec::Prepared;
use crate::kind::Kind;
use crate::long;
use crate::registry::Registry;
use crate::reservation::{self, Settlement};

/// A checked change.
enum Step {
    /// Nothing changes.
    Same,
    /// Write it.
    Put(Prepared),
    /// The last finalizer is gone: the object goes.
    Remove,
}

/// What one attempt is about: the request, and the state that it is to change.
#[derive(Clone, Copy)]
struct On<'a> {
    call: &'a Call,
    kind: &'a Kind,
    /// Empty for the object itself.
    subresource: &'a str,
    key: &'a Arc<str>,
    entry: &'a Entry,
}

impl Registry {
    /// Changes an object. `subresource` names the part that may change; empty for the object itself.
    pub(crate) async fn change(
        &self,
        call: &Call,
        kind: &Kind,
        subresource: &str,
        edit: &mut impl Edit,
    ) -> Result<Written, Status> {
        let (namespace, name) = (&*call.attributes.namespace, &*call.attributes.name);
        let key = kind.store_key(namespace, name);
        let mut current = self.read(&key).await?;
        loop {
            let Some(entry) = current else {
                if !edit.creates() {
                    return Err(kind.not_found(name));
                }
                check_uid(call, kind, &key, edit.uid(), "")?;
                let mut object = edit.apply(None).await?;
                lifecycle::ensure_namespace(&mut object, kind.descriptor.namespaced, namespace)?;
                lifecycle::check_name(&object, name)?;
                // Upstream ignores the version of an object that turns out to be new.
                object.remove("metadata.resourceVersion");
                let tracked = edit.owns_fields();
                let mut warnings = edit.warnings();
                warnings.extend(lifecycle::dedup_owners(&mut object, !edit.is_patch()));
                match self.create_named(call, kind, object, tracked).await {
                    Err(status) if status.reason == Reason::AlreadyExists && !call.dry_run => {
                        current = self.read(&key).await?;
                        continue;
                    }
                    Ok(mut written) => {
                        written.warnings.splice(0..0, warnings);
                        return Ok(written);
                    }
                    Err(status) => return Err(status.warned(warnings)),
                }
            };
            let on = On { call, kind, subresource, key: &key, entry: &entry };
            match long::run(entry.value.len(), self.try_change(&on, edit)).await? {
                Ok(written) => return Ok(written),
                Err(now) => current = now,
            }
        }
    }

    /// One attempt on one state. The inner error is the state that the object has got meanwhile.
    async fn try_change(&self, on: &On<'_>, edit: &mut impl Edit) -> Result<Result<Written, Option<Entry>>, Status> {
        let On { call, kind, key, entry, .. } = *on;
        let old = kind.object(entry).await?;
        check_uid(call, kind, key, edit.uid(), old.uid())?;
        let mut new = edit.apply(Some(&old)).await?;
        let mut warnings = edit.warnings();
        warnings.extend(lifecycle::dedup_owners(&mut new, !edit.is_patch()));
        let carried = self.carry_out(on, edit, &old, new, &mut warnings).await;
        match carried {
            Ok(Ok(mut written)) => {
                written.warnings.splice(0..0, warnings);
                Ok(Ok(written))
            }
            Err(status) => Err(status.warned(warnings)),
            again => again,
        }
    }

    /// Carries a new state through admission and checks into the store. `warnings` gets what whoever asks hears of it.
    async fn carry_out(
        &self,
        on: &On<'_>,
        edit: &mut impl Edit,
        old: &Object,
        mut new: Object,
        warnings: &mut Vec<String>,
    ) -> Result<Result<Written, Option<Entry>>, Status> {
        let On { call, kind, subresource, key, entry } = *on;
        let name = &*call.attributes.name;
        lifecycle::ensure_namespace(&mut new, kind.descriptor.namespaced, &call.attributes.namespace)?;
        lifecycle::check_name(&new, name)?;
        if edit.admitted() {
            default(kind, &mut new);
            if !edit.owns_fields() {
                writer(call, kind, subresource).track(old, &mut new, Timestamp::now()).await;
            }
            let asked = &mut request(call, kind, Operation::Update, Some(&mut new), Some(old));
            warnings.extend(self.mutate(asked).await?);
            default(kind, &mut new);
        }
        check_version(kind, name, &mut new, entry.modified)?;
        let mut taken = Vec::new();
        if subresource.is_empty() && edit.admitted() {
            taken = reservation::take(self.reservations(), &kind.descriptor, &mut new, Some(old), call.dry_run)?;
        }
        prepare(call, kind, subresource, &mut new, old)?;
        long::steps(kind.descriptor.rules.effort(subresource), || validate(kind, subresource, &new, old, warnings))?;
        let rules = &kind.descriptor.rules;
        rules.canonicalize(&mut new);
        warnings.extend(if subresource == "status" { rules.status_warnings(&new, old) } else { rules.warnings(&new, Some(old)) });
        if edit.admitted() {
            let asked = &mut request(call, kind, Operation::Update, Some(&mut new), Some(old));
            warnings.extend(self.approve(asked).await?);
        }
        let written = |object| Ok(Written { object, created: false, warnings: Vec::new() });
        apply::keep_times(old, &mut new);
        let step = next_step(kind, &new, old, entry).await?;
        if matches!(step, Step::Same) {
            return written(kind.encoded(entry).await?).map(Ok);
        }
        if call.dry_run {
            return written(kind.encode(new.key(), entry.modified, &new)).map(Ok);
        }
        let change = match &step {
            Step::Put(prepared) => Change::Put(prepared),
            Step::Same | Step::Remove => Change::Delete,
        };
        let left = matches!(change, Change::Put(_)).then_some(&new);
        let settlement = Settlement::new(self.reservations(), &kind.descriptor, taken, Some(old), left);
        match self.commit_settled(kind, key.clone(), Expect::Revision(entry.modified), change, settlement).await? {
            Outcome::Changed(now) => Ok(Err(now)),
            Outcome::Done(after, _) => {
                let object: Arc<Encoded> = match change {
                    Change::Put(prepared) => self.written(kind, &after, &prepared.note).await?,
                    Change::Delete => kind.encode(new.key(), entry.modified, &new),
                };
                written(object).map(Ok)
            }
        }
    }
}

/// Who manages the fields that this call writes.
pub(crate) fn writer<'a>(call: &'a Call, kind: &'a Kind, subresource: &'a str) -> Writer<'a> {
    let (schema, manager) = (&kind.descriptor.schema, &*call.field_manager);
    let rules = &kind.descriptor.rules;
    let reset: &[&[&str]] = match (rules.kept_by(subresource), subresource) {
        (Some(kept), _) => kept,
        (None, "status") => rules.kept_by_status(),
        _ if kind.descriptor.subresource("status").is_some() => &[&["status"]],
        _ => &[],
    };
    Writer { schema, manager, subresource, reset, converter: kind.converter().map(|converter| &**converter) }
}

/// 409 if the client means another object of the same name.
fn check_uid(call: &Call, kind: &Kind, key: &str, wanted: Option<&str>, is: &str) -> Result<(), Status> {
    // Upstream checks a dry run above the layer that puts the prefix before the keys.
    let key = key.strip_prefix("/registry").filter(|_| call.dry_run).unwrap_or(key);
    let name = &call.attributes.name;
    match wanted {
        Some(wanted) if wanted != is => {
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: UID in precondition: {wanted}, UID in object meta: {is}"
            );
            Err(Status::conflict(kind.group(), kind.resource(), name, &why))
        }
        _ => Ok(()),
    }
}

/// 409 if the client changed an older state; 422 if it must say which one and does not.
fn check_version(kind: &Kind, name: &str, new: &mut Object, current: u64) -> Result<(), Status> {
    // Upstream's answer carries no reason.
    let asked = crate::error::parse_revision(new.resource_version()).map_err(|why| {
        let why = why.rsplit_once("strconv").map_or(why.clone(), |(_, rest)| format!("strconv{rest}"));
        Status::new(Reason::Unknown, why)
    })?;
    if asked == current {
        return Ok(());
    }
    if asked != 0 {
        return Err(Status::modified(kind.group(), kind.resource(), name));
    }
    if !kind.descriptor.rules.unconditional_update() {
        let path = Path::new("metadata").child("resourceVersion");
        let error = Error::invalid(&path, 0, "must be specified for an update");
        return Err(Status::invalid(kind.group(), kind.resource(), name, &[error]));
    }
    new.set("metadata.resourceVersion", current.to_string());
    Ok(())
}

fn prepare(call: &Call, kind: &Kind, subresource: &str, new: &mut Object, old: &Object) -> Result<(), Status> {
    let (rules, context) = (&*kind.descriptor.rules, &call.context());
    lifecycle::ensure_namespace(new, kind.descriptor.namespaced, &call.attributes.namespace)?;
    lifecycle::keep_system_fields(new, old);
    if namespace::is_namespace(kind) {
        namespace::prepare_update(subresource, new, old);
    }
    match subresource {
        "" => rules.prepare_update(new, old, context),
        "status" => {
            keep_all_but_status(new, old);
            rules.prepare_subresource(subresource, new, old, context);
        }
        other => rules.prepare_subresource(other, new, old, context),
    }
    let is_wish = matches!(subresource, "" | "scale" | "resize" | "ephemeralcontainers");
    if is_wish && rules.has_generation() && rules.generation_changes(new, old) {
        lifecycle::raise_generation(new);
    }
    Ok(())
}

/// An update of the status may change the status and metadata.
fn keep_all_but_status(new: &mut Object, old: &Object) {
    let is_kept = |field: &str| !matches!(field, "metadata" | "status" | "apiVersion" | "kind");
    new.fields_mut().retain(|field, _| !is_kept(field));
    for (field, value) in old.fields().iter().filter(|(field, _)| is_kept(field)) {
        new.fields_mut().insert(field.clone(), value.clone());
    }
}

fn validate(kind: &Kind, subresource: &str, new: &Object, old: &Object, warnings: &mut Vec<String>) -> Result<(), Status> {
    let rules = &*kind.descriptor.rules;
    // Names were checked at creation; upstream only checks here that they fit into a path.
    let mut errors = metadata(new, kind.descriptor.namespaced, &|name, _| meta::text::path_segment(name, false));
    errors.extend(metadata_update(new, old));
    let (wrong, said) = rules.judge(subresource, new, old);
    errors.extend(wrong);
    warnings.extend(said);
    if errors.is_empty() {
        return Ok(());
    }
    Err(kind.invalid(new.name(), &errors))
}

async fn next_step(kind: &Kind, new: &Object, old: &Object, entry: &Entry) -> Result<Step, Status> {
    let held = namespace::is_namespace(kind) && namespace::is_held(new);
    if lifecycle::deleted_by_update(new, old) && !held {
        return Ok(Step::Remove);
    }
    let prepared = kind.prepare(new).await?;
    if is_large(&prepared) {
        let present = kind.encoded(entry).await.and_then(|present| present.json());
        check_size(&prepared, present.map_or(0, |json| json.len()))?;
    }
    Ok(if prepared.bytes == entry.value { Step::Same } else { Step::Put(prepared) })
}
