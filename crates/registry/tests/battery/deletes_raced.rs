//! A deletion that another one overtakes.

use std::sync::Arc;

use async_trait::async_trait;
use registry::api::DeleteOptions;
use registry::{Config, Registry};
use serde_json::json;
use store::{Durability, Entry, Error, Expect, Memory, Op, Page, Revision, Store, Watch, Write};

use crate::kit::*;

/// Somebody who removes every object as soon as it is marked for deletion.
struct Hasty(Arc<Memory>);

#[async_trait]
impl Store for Hasty {
    fn revision(&self) -> Revision {
        self.0.revision()
    }

    fn oldest(&self) -> Revision {
        self.0.oldest()
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.0.get(key).await
    }

    async fn range(&self, p: &str, after: Option<&str>, limit: usize, at: Option<Revision>) -> Result<Page, Error> {
        self.0.range(p, after, limit, at).await
    }

    async fn commit(&self, write: Write) -> Result<(Revision, Entry), Error> {
        let key = write.key.clone();
        let (revision, entry) = self.0.commit(write).await?;
        if String::from_utf8_lossy(&entry.value).contains("deletionTimestamp") {
            let (expect, durability) = (Expect::Revision(revision), Durability::default());
            self.0.commit(Write { key: key.clone(), expect, op: Op::Delete, durability, note: None }).await?;
        }
        Ok((revision, entry))
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.0.watch(prefix, after).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.0.compact(revision).await
    }
}

#[tokio::test]
async fn what_this_request_marked_and_another_removed_is_deleted() {
    let store = Arc::new(Memory::new());
    let hasty = Arc::new(Hasty(store.clone()));
    let registry = Registry::open(hasty, kinds::all(), Vec::new(), Config::default()).await.expect("opens");
    let w = World { registry, store };
    let spec = json!({"containers": [{"name": "c", "image": "i"}]});
    let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}));
    w.create(&call("pods", "default", ""), pod).await.expect("created");
    let (marked, gone) = w.delete(&call("pods", "default", "p"), DeleteOptions::default()).await.expect("deleted");
    assert!(gone && marked.deletion_timestamp().is_some());
}
