//! The last station: one conditional write.

use std::sync::Arc;

use admission::Request;
use meta::{Object, Status, limits};
use store::{Durability, Entry, Expect, Op, Template, Write};

use crate::api::Call;
use crate::error::from_store;
use crate::kind::Kind;
use crate::registry::Registry;

/// How a conditional write ended.
pub(crate) enum Outcome {
    /// It happened; this is the entry after it (after a deletion: before it), and the revision.
    Done(Entry, u64),
    /// The key has this now.
    Changed(Option<Entry>),
}

impl Registry {
    /// One conditional write.
    pub(crate) async fn commit(&self, kind: &Kind, key: Arc<str>, expect: Expect, op: Op) -> Result<Outcome, Status> {
        let durability = if kind.descriptor.lazy { Durability::Lazy } else { Durability::Sync };
        match self.store().commit(Write { key, expect, op, durability }).await {
            Ok((revision, entry)) => Ok(Outcome::Done(entry, revision)),
            Err(store::Error::Unexpected(now)) => Ok(Outcome::Changed(now)),
            Err(error) => Err(from_store(error)),
        }
    }

    /// What a key has now.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Entry>, Status> {
        self.store().get(key).await.map_err(from_store)
    }

    /// Both rounds of admission, for a request that is no write of this registry (a token is issued).
    pub async fn admit(&self, request: &mut Request<'_>) -> Result<(), Status> {
        self.mutate(request).await?;
        self.approve(request).await
    }

    /// Lets every plug-in change the object or refuse the request.
    pub(crate) async fn mutate(&self, request: &mut Request<'_>) -> Result<(), Status> {
        for plugin in self.plugins() {
            plugin.mutate(request, self).await?;
        }
        Ok(())
    }

    /// Lets every plug-in refuse the request.
    pub(crate) async fn approve(&self, request: &Request<'_>) -> Result<(), Status> {
        for plugin in self.plugins() {
            plugin.validate(request, self).await?;
        }
        Ok(())
    }
}

/// 413 for what would be stored and could not be sent back. An object that is too large already may still go.
pub(crate) fn check_size(template: &Template, present: usize) -> Result<(), Status> {
    let most = limits::OBJECT.max(present + limits::OBJECT_END);
    match template.bytes.len() > most {
        true => Err(Status::too_large(&format!("limit is {}", limits::OBJECT))),
        false => Ok(()),
    }
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
    Request { attributes: &call.attributes, gvk: &kind.descriptor.gvk, operation, object, old, dry_run: call.dry_run }
}
