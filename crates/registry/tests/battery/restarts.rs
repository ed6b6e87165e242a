//! The same data, opened again.

use std::sync::Arc;

use futures::StreamExt;
use registry::api::{ListOptions, WatchOptions};
use registry::{Config, Registry};
use serde_json::json;
use store::Disk;

use crate::kit::*;

async fn open(dir: &std::path::Path) -> Arc<Registry> {
    // The last handle of the registry before closes the store in its own time.
    let store = loop {
        match Disk::open(dir) {
            Ok(store) => break store,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    Registry::open(Arc::new(store), kinds::all(), Vec::new(), Config::default()).await.expect("opens")
}

#[tokio::test]
async fn a_restart_loses_nothing_and_turns_old_watches_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let services = call("services", "default", "");
    let service = |name: &str, ip: &str| {
        object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"clusterIP": ip, "ports": [{"port": 80}]}}))
    };
    let before = open(dir.path()).await;
    before.create(&services, service("a", "10.96.0.9")).await.expect("created");
    let revision = before.revision();
    drop(before);
    let after = open(dir.path()).await;
    assert!(after.revision() >= revision);
    let everything = scope("", "", "");
    let list = after.list(&services.attributes, &everything, &ListOptions::default()).await.expect("listed");
    assert_eq!(names(&list), ["default/a"]);
    let status = after.create(&services, service("b", "10.96.0.9")).await.expect_err("still taken");
    assert!(status.message.ends_with("provided IP is already allocated"), "{status}");
    let from = |revision: u64| WatchOptions { resource_version: revision.to_string(), ..WatchOptions::default() };
    let old = after.watch(&services.attributes, everything.clone(), from(1)).await;
    assert_eq!(old.err().map(|s| s.code), Some(410));
    let mut watch = after.watch(&services.attributes, everything, from(list.revision)).await.expect("a watch");
    after.create(&services, service("b", "")).await.expect("created");
    assert!(watch.next().await.is_some());
}
