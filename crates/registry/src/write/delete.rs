//! Delete: at once, gracefully, or when the finalizers are gone.

use std::sync::Arc;

use admission::Operation;
use jiff::Timestamp;
use kinds::Rules;
use meta::{Encoded, Object, Status, time};
use serde_json::Value;
use store::{Entry, Expect};

use super::commit::{Change, Outcome, request};
use super::{lifecycle, namespace};
use crate::api::{Call, DeleteOptions, Deleted, Propagation};
use crate::kind::Kind;
use crate::registry::Registry;
use crate::reservation::Settlement;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion request does to an object.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// It is being deleted already, and the request does not hasten it.
    Pending,
    /// It is marked, and waits for its grace period or finalizers.
    Mark(Object),
    /// It is marked so that those who watch see it, and goes at once.
    MarkAndRemove(Object),
    /// It goes at once.
    Remove,
}

impl Registry {
    /// Deletes an object, or marks it for deletion.
    pub(crate) async fn delete_object(
        &self,
        call: &Call,
        kind: &Kind,
        mut options: DeleteOptions,
    ) -> Result<Deleted, Status> {
        let name = &*call.attributes.name;
        let key = kind.store_key(&call.attributes.namespace, name);
        options.grace_period = options.grace_period.map(|grace| if grace < 0 { 1 } else { grace });
        let mut current = self.read(&key).await?;
        let mut ours: Option<Entry> = None;
        loop {
            let Some(entry) = current else {
                // Another request has removed what this one had marked: it is deleted as was asked.
                let marked = ours.ok_or_else(|| kind.not_found(name))?;
                return Ok(Deleted { object: kind.encoded(&marked).await?, gone: true });
            };
            match self.try_delete(call, kind, &options, &key, entry).await? {
                Ok(deleted) => return Ok(deleted),
                Err((now, marked)) => {
                    // The mark was our own write: the precondition goes on with it.
                    if let Some(revision) = marked.filter(|_| options.resource_version.is_some()) {
                        options.resource_version = Some(revision.to_string());
                    }
                    ours = now.clone().filter(|_| marked.is_some()).or(ours);
                    current = now;
                }
            }
        }
    }

    /// One attempt on one state. The inner error is the state that the object has got meanwhile, and the revision
    /// of it if this attempt made it.
    async fn try_delete(
        &self,
        call: &Call,
        kind: &Kind,
        options: &DeleteOptions,
        key: &Arc<str>,
        entry: Entry,
    ) -> Result<Result<Deleted, (Option<Entry>, Option<u64>)>, Status> {
        let old = kind.object(&entry).await?;
        let is_namespace = namespace::is_namespace(kind);
        if is_namespace {
            namespace::check_preconditions(&old, options)?;
        }
        check_preconditions(kind, &old, options)?;
        // A deletion on behalf of another request, an eviction, is no request of its own: plug-ins have seen that one
        // (upstream: `rest.ValidateAllObjectFunc` in `registry/core/pod/storage/eviction.go`).
        if call.attributes.subresource.is_empty() {
            let mut asked = request(call, kind, Operation::Delete, None, Some(&old));
            self.mutate(&mut asked).await?;
            self.approve(&mut asked).await?;
        }
        let now = Timestamp::now();
        let verdict = match (is_namespace, old.deletion_timestamp()) {
            (true, None) => Verdict::Mark(namespace::terminating(&old, options, now)),
            (true, Some(_)) if namespace::is_held(&old) => Verdict::Pending,
            _ => decide(&*kind.descriptor.rules, &old, options, now),
        };
        let done = |object: Arc<Encoded>, gone| Ok(Ok(Deleted { object, gone }));
        if call.dry_run {
            return match verdict {
                Verdict::Pending | Verdict::Remove => done(kind.encoded(&entry).await?, verdict == Verdict::Remove),
                Verdict::Mark(new) => done(kind.encode(new.key(), entry.modified, &new), false),
                Verdict::MarkAndRemove(new) => done(kind.encode(new.key(), entry.modified, &new), true),
            };
        }
        let (expect, key) = (Expect::Revision(entry.modified), key.clone());
        match verdict {
            Verdict::Pending => done(kind.encoded(&entry).await?, false),
            Verdict::Mark(new) if new == old => done(kind.encoded(&entry).await?, false),
            Verdict::Mark(new) => {
                let prepared = kind.prepare(&new).await?;
                let settlement = Settlement::new(self.reservations(), &kind.descriptor, Vec::new(), Some(&old), Some(&new));
                match self.commit_settled(kind, key, expect, Change::Put(&prepared), settlement).await? {
                    Outcome::Done(after, _) => done(self.written(kind, &after, &prepared.note).await?, false),
                    Outcome::Changed(now) => Ok(Err((now, None))),
                }
            }
            Verdict::MarkAndRemove(new) => match self.commit(kind, key, expect, Change::Put(&kind.prepare(&new).await?)).await? {
                Outcome::Done(after, revision) => Ok(Err((Some(after), Some(revision)))),
                Outcome::Changed(now) => Ok(Err((now, None))),
            },
            Verdict::Remove => match self.remove(kind, key, expect, &old).await? {
                Outcome::Done(before, revision) => done(kind.encoded(&Entry { modified: revision, ..before }).await?, true),
                Outcome::Changed(now) => Ok(Err((now, None))),
            },
        }
    }
}

impl Registry {
    /// Removes an object, and gives back what it held.
    async fn remove(&self, kind: &Kind, key: Arc<str>, expect: Expect, old: &Object) -> Result<Outcome, Status> {
        let settlement = Settlement::new(self.reservations(), &kind.descriptor, Vec::new(), Some(old), None);
        self.commit_settled(kind, key, expect, Change::Delete, settlement).await
    }
}

fn check_preconditions(kind: &Kind, old: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let group = kind.descriptor.rules.shown_group().unwrap_or_else(|| kind.group());
    let conflict = |why: String| Err(Status::conflict(group, &kind.descriptor.gvk.kind, old.name(), &why));
    match &options.uid {
        Some(uid) if uid != old.uid() => {
            return conflict(format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
                 deleted and then recreated",
                old.uid()
            ));
        }
        _ => {}
    }
    match &options.resource_version {
        Some(version) if version != old.resource_version() => conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            old.resource_version()
        )),
        _ => Ok(()),
    }
}

/// What becomes of the object. Pure.
fn decide(rules: &dyn Rules, old: &Object, options: &DeleteOptions, now: Timestamp) -> Verdict {
    let mut new = old.clone();
    if old.deletion_timestamp().is_none() && rules.begin_deletion(&mut new, now) {
        return Verdict::Mark(new);
    }
    let graceful = match soften(rules, &mut new, options, now) {
        Grace::Pending => return Verdict::Pending,
        Grace::None => None,
        Grace::Seconds(seconds) => Some(seconds),
    };
    set_finalizers(rules, &mut new, options);
    let held = new.finalizers().next().is_some();
    match graceful {
        None if held => {
            mark(&mut new, now);
            Verdict::Mark(new)
        }
        None => Verdict::Remove,
        Some(seconds) if seconds > 0 || held => Verdict::Mark(new),
        Some(_) if new != *old => Verdict::MarkAndRemove(new),
        Some(_) => Verdict::Remove,
    }
}

enum Grace {
    Pending,
    None,
    Seconds(i64),
}

/// Applies the grace period of a kind that has one.
fn soften(rules: &dyn Rules, new: &mut Object, options: &DeleteOptions, now: Timestamp) -> Grace {
    const AT: &str = "metadata.deletionTimestamp";
    const GRACE: &str = "metadata.deletionGracePeriodSeconds";
    let granted = rules.grace_period(new, options.grace_period);
    let Some(at) = new.deletion_timestamp().and_then(time::parse) else {
        let Some(seconds) = granted else { return Grace::None };
        new.set(AT, time::seconds(time::after(now, seconds)));
        new.set(GRACE, seconds);
        lifecycle::raise_generation(new);
        return Grace::Seconds(seconds);
    };
    let running = new.i64_at(GRACE).unwrap_or(0);
    if granted.is_none() || running == 0 {
        return Grace::None;
    }
    // It can only be shortened.
    let Some(mut seconds) = options.grace_period.filter(|seconds| *seconds < running) else { return Grace::Pending };
    let mut until = time::after(at, seconds.saturating_sub(running));
    if until < now {
        until = now;
        // A graceful deletion stays one, even if its time is over.
        seconds = seconds.min(1);
    }
    new.set(AT, time::seconds(until));
    new.set(GRACE, seconds);
    Grace::Seconds(seconds)
}

/// Sets what tells the garbage collector about dependents.
fn set_finalizers(rules: &dyn Rules, new: &mut Object, options: &DeleteOptions) {
    let present = |name: &str| new.finalizers().any(|f| f == name);
    let (orphan, foreground) = match options.propagation {
        _ if !rules.has_dependents() => (false, false),
        Some(policy) => (policy == Propagation::Orphan, policy == Propagation::Foreground),
        None if present(ORPHAN) || present(FOREGROUND) => (present(ORPHAN), !present(ORPHAN)),
        None => (rules.orphans_by_default(), false),
    };
    if present(ORPHAN) == orphan && present(FOREGROUND) == foreground {
        return;
    }
    let others = new.finalizers().filter(|f| !matches!(*f, ORPHAN | FOREGROUND));
    let added = [(orphan, ORPHAN), (foreground, FOREGROUND)].into_iter().filter(|(wanted, _)| *wanted);
    let finalizers: Vec<Value> = others.chain(added.map(|(_, name)| name)).map(Into::into).collect();
    if finalizers.is_empty() {
        new.remove("metadata.finalizers");
    } else {
        new.set("metadata.finalizers", finalizers);
    }
}

/// Marks an object without graceful deletion: it waits for its finalizers alone.
fn mark(new: &mut Object, now: Timestamp) {
    let marked = new.deletion_timestamp().map(str::to_owned);
    if marked.is_none() {
        lifecycle::raise_generation(new);
    }
    if marked.as_deref().and_then(time::parse).is_none_or(|at| at > now) {
        new.set("metadata.deletionTimestamp", time::seconds(now));
    }
    new.set("metadata.deletionGracePeriodSeconds", 0);
}
