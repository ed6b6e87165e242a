//! The last station: one conditional write.

use std::sync::Arc;

use admission::{Request, Warnings};
use meta::{Object, Status, limits};
use store::{Durability, Entry, Expect, Op, Write};

use crate::api::Call;
use crate::codec::Prepared;
use crate::error::from_store;
use crate::kind::Kind;
use crate::registry::Registry;
use crate::reservation::Settlement;

/// What a conditional write does.
#[derive(Clone, Copy)]
pub(crate) enum Change<'a> {
    /// It stores this.
    Put(&'a Prepared),
    /// It removes the key.
    Delete,
}

impl Change<'_> {
    fn write(self, kind: &Kind, key: Arc<str>, expect: Expect) -> Write {
        let durability = if kind.descriptor.lazy { Durability::Lazy } else { Durability::Sync };
        let (op, note) = match self {
            Change::Put(prepared) => (Op::Put(prepared.bytes.clone()), Some(prepared.note.clone() as store::Note)),
            Change::Delete => (Op::Delete, None),
        };
        Write { key, expect, op, durability, note }
    }
}

/// How a conditional write ended.
pub(crate) enum Outcome {
    /// It happened; this is the entry after it (after a deletion: before it), and the revision.
    Done(Entry, u64),
    /// The key has this now.
    Changed(Option<Entry>),
}

impl Registry {
    /// One conditional write.
    pub(crate) async fn commit(&self, kind: &Kind, key: Arc<str>, expect: Expect, change: Change<'_>) -> Result<Outcome, Status> {
        outcome(self.store().commit(change.write(kind, key, expect)).await)
    }

    /// One conditional write, and what follows from it for those who hold something. A write that is on its way happens
    /// also when nobody waits for it any more (a client has hung up), and so does what follows.
    pub(crate) async fn commit_settled(
        &self,
        kind: &Kind,
        key: Arc<str>,
        expect: Expect,
        change: Change<'_>,
        settlement: Option<Settlement>,
    ) -> Result<Outcome, Status> {
        let Some(settlement) = settlement else { return self.commit(kind, key, expect, change).await };
        let (store, write) = (self.shared_store(), change.write(kind, key, expect));
        let work = async move {
            let done = store.commit(write).await;
            if done.is_ok() {
                settlement.settle();
            }
            done
        };
        let done = tokio::spawn(work).await;
        outcome(done.map_err(|_| Status::internal("the write was broken off".to_owned()))?)
    }

    /// What a key has now.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Entry>, Status> {
        self.store().get(key).await.map_err(from_store)
    }

    /// Both rounds of admission, for a request that is no write of this registry (a token is issued). Returns the warnings.
    pub async fn admit(&self, request: &mut Request<'_>) -> Result<Vec<String>, Status> {
        let mut warnings = self.mutate(request).await?;
        match self.approve(request).await {
            Ok(more) => warnings.extend(more),
            Err(status) => return Err(status.warned(warnings)),
        }
        Ok(warnings)
    }

    /// Lets every plug-in change the object or refuse the request. Returns the warnings.
    pub(crate) async fn mutate(&self, request: &mut Request<'_>) -> Result<Vec<String>, Status> {
        for plugin in self.plugins() {
            plugin.mutate(request, self).await.map_err(|status| status.warned(request.take_warnings()))?;
        }
        Ok(request.take_warnings())
    }

    /// Lets every plug-in refuse the request. Returns the warnings.
    pub(crate) async fn approve(&self, request: &mut Request<'_>) -> Result<Vec<String>, Status> {
        for plugin in self.plugins() {
            plugin.validate(request, self).await.map_err(|status| status.warned(request.take_warnings()))?;
        }
        Ok(request.take_warnings())
    }
}

fn outcome(done: Result<(u64, Entry), store::Error>) -> Result<Outcome, Status> {
    match done {
        Ok((revision, entry)) => Ok(Outcome::Done(entry, revision)),
        Err(store::Error::Unexpected(now)) => Ok(Outcome::Changed(now)),
        Err(error) => Err(from_store(error)),
    }
}

/// Whether something larger than objects may be would be stored.
pub(crate) fn is_large(prepared: &Prepared) -> bool {
    prepared.note.len() > limits::OBJECT
}

/// 413 for what would be stored and could not be sent back. An object that is too large already may still go: `present` is
/// the length of its JSON, which need not be known for one that is not ([`is_large`]).
pub(crate) fn check_size(prepared: &Prepared, present: usize) -> Result<(), Status> {
    if !is_large(prepared) || prepared.note.len() <= present + limits::OBJECT_END {
        return Ok(());
    }
    Err(Status::too_large(&format!("limit is {}", limits::OBJECT)))
}

/// Fills in defaults.
pub(crate) fn default(kind: &Kind, object: &mut Object) {
    kind.descriptor.schema.default(object);
    kind.descriptor.rules.default(object);
}

/// A request to plug-ins about an object of the kind itself.
pub(crate) fn request<'a>(
    call: &'a Call,
    kind: &'a Kind,
    operation: admission::Operation,
    object: Option<&'a mut Object>,
    old: Option<&'a Object>,
) -> Request<'a> {
    Request { attributes: &call.attributes, gvk: &kind.descriptor.gvk, operation, object, old, dry_run: call.dry_run, warnings: Warnings::default() }
}
