//! Deletion of everything that is selected.

use futures::{StreamExt, TryStreamExt};
use meta::{Reason, Status};

use crate::api::{Call, DeleteOptions, List, ListOptions, Scope};
use crate::kind::Kind;
use crate::registry::Registry;

/// Deletions under way at once: enough for the store to commit them in groups.
const AT_ONCE: usize = 16;

impl Registry {
    /// Deletes one page (all, without a limit). Not atomic: an error leaves the rest. Answers with what was listed.
    pub(crate) async fn delete_selected(
        &self,
        call: &Call,
        kind: &Kind,
        scope: &Scope,
        options: &ListOptions,
        delete: DeleteOptions,
    ) -> Result<List, Status> {
        let list = self.list_objects(kind, scope, options).await?;
        // Made before the first await: an iterator over borrowed items would make the future depend on
        // their lifetime, and no caller could box it.
        let mut deletions = Vec::with_capacity(list.items.len());
        for item in &list.items {
            let (mut one, delete) = (call.clone(), delete.clone());
            one.attributes.name = item.key.name.to_string();
            one.attributes.namespace = item.key.namespace.to_string();
            deletions.push(async move {
                match self.delete_object(&one, kind, delete).await {
                    Err(status) if status.reason != Reason::NotFound => Err(status),
                    _ => Ok(()),
                }
            });
        }
        futures::stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(list)
    }
}
