//! Delete: preconditions, finalizers, propagation, grace, collections.

use registry::api::{DeleteOptions, ListOptions, Propagation};
use serde_json::json;

use crate::kit::*;

#[tokio::test]
async fn deletion_heeds_its_preconditions() {
    let w = world().await;
    let a = w.make("a").await;
    let other = DeleteOptions { uid: Some("other".to_owned()), ..DeleteOptions::default() };
    let status = w.delete(&cm("a"), other).await.expect_err("another object");
    let text = format!(
        "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (other) does not match the UID in \
         record ({}). The object might have been deleted and then recreated",
        a.uid()
    );
    assert_eq!((status.code, status.message), (409, text));
    let old = DeleteOptions { resource_version: Some("1".to_owned()), ..DeleteOptions::default() };
    let status = w.delete(&cm("a"), old).await.expect_err("an old state");
    assert!(status.message.contains("the ResourceVersion in the precondition (1) does not match"));
    let exact = DeleteOptions {
        uid: Some(a.uid().to_owned()),
        resource_version: Some(a.resource_version().to_owned()),
        ..DeleteOptions::default()
    };
    let (last, gone) = w.delete(&cm("a"), exact).await.expect("deleted");
    assert!(gone && last.resource_version() > a.resource_version(), "the last state has the version of its end");
    assert_eq!(w.delete(&cm("a"), DeleteOptions::default()).await.map_err(|s| s.code), Err(404));
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let w = world().await;
    let mut new = config_map("a", json!({}));
    new.set("metadata.finalizers", json!(["example.com/x"]));
    w.create(&cm(""), new).await.expect("created");
    let (marked, gone) = w.delete(&cm("a"), DeleteOptions::default()).await.expect("marked");
    assert!(!gone && marked.deletion_timestamp().is_some());
    assert_eq!(marked.i64_at("metadata.deletionGracePeriodSeconds"), Some(0));
    let (again, gone) = w.delete(&cm("a"), DeleteOptions::default()).await.expect("still there");
    assert!(!gone && again.resource_version() == marked.resource_version());
    let status = w.create(&cm(""), config_map("a", json!({}))).await.expect_err("there");
    assert_eq!(status.message, r#"object is being deleted: configmaps "a" already exists"#);
    let mut more = marked.clone();
    more.set("metadata.finalizers", json!(["example.com/x", "example.com/y"]));
    let status = w.update(&cm("a"), more).await.expect_err("no new ones");
    assert!(status.message.contains("no new finalizers can be added if the object is being deleted"), "{status}");
    let mut last = marked;
    last.remove("metadata.finalizers");
    w.update(&cm("a"), last).await.expect("the last one goes");
    assert_eq!(w.get(&cm("a")).await.map_err(|s| s.code), Err(404));
}

#[tokio::test]
async fn propagation_becomes_finalizers() {
    let w = world().await;
    for (policy, finalizer) in [(Propagation::Orphan, "orphan"), (Propagation::Foreground, "foregroundDeletion")] {
        w.make(finalizer.to_lowercase().as_str()).await;
        let call = cm(&finalizer.to_lowercase());
        let options = DeleteOptions { propagation: Some(policy), ..DeleteOptions::default() };
        let (marked, gone) = w.delete(&call, options).await.expect("marked");
        assert!(!gone);
        assert_eq!(marked.finalizers().collect::<Vec<_>>(), [finalizer]);
        // Another policy replaces it.
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        let (_, gone) = w.delete(&call, options).await.expect("deleted");
        assert!(gone);
    }
}

#[tokio::test]
async fn a_collection_goes_as_selected() {
    let w = world().await;
    for i in 0..5 {
        let mut new = config_map(&format!("c{i}"), json!({}));
        new.set("metadata.labels.odd", if i % 2 == 1 { "yes" } else { "no" });
        w.create(&cm(""), new).await.expect("created");
    }
    let all = ListOptions::default();
    let selected = scope("default", "odd=yes", "");
    let gone = w.registry.delete_collection(&cm(""), &selected, &all, DeleteOptions::default()).await.expect("deleted");
    assert_eq!(names(&gone), ["default/c1", "default/c3"]);
    let left = w.list(&scope("default", "", ""), &all).await.expect("listed");
    assert_eq!(names(&left), ["default/c0", "default/c2", "default/c4"]);
}

#[tokio::test]
async fn a_pod_goes_gracefully() {
    let w = world().await;
    let pod = |name: &str| {
        object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 30, "containers": [{"name": "c", "image": "i"}]}}))
    };
    let target = call("pods", "default", "p");
    w.create(&call("pods", "default", ""), pod("p")).await.expect("created");
    let (marked, gone) = w.delete(&target, DeleteOptions::default()).await.expect("marked");
    assert!(!gone);
    assert_eq!(marked.i64_at("metadata.deletionGracePeriodSeconds"), Some(30));
    let (same, _) = w.delete(&target, DeleteOptions::default()).await.expect("still");
    assert_eq!(same, marked);
    let sooner = DeleteOptions { grace_period: Some(10), ..DeleteOptions::default() };
    let (sooner, _) = w.delete(&target, sooner).await.expect("sooner");
    assert_eq!(sooner.i64_at("metadata.deletionGracePeriodSeconds"), Some(10));
    assert!(sooner.deletion_timestamp() < marked.deletion_timestamp());
    let now = DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() };
    let (_, gone) = w.delete(&target, now).await.expect("gone");
    assert!(gone);
}

#[tokio::test]
async fn a_grace_period_is_any_number() {
    let w = world().await;
    let spec = json!({"containers": [{"name": "c", "image": "i"}], "nodeName": "n", "terminationGracePeriodSeconds": i64::MAX});
    let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}));
    let (pods, one) = (call("pods", "default", ""), call("pods", "default", "a"));
    w.create(&pods, pod).await.expect("created");
    let (marked, gone) = w.delete(&one, DeleteOptions::default()).await.expect("marked");
    assert!(!gone && marked.deletion_timestamp().is_some_and(|at| at.starts_with("9999")));
    let shorter = DeleteOptions { grace_period: Some(i64::MAX - 1), ..DeleteOptions::default() };
    let (marked, _) = w.delete(&one, shorter).await.expect("marked again");
    assert_eq!(marked.i64_at("metadata.deletionGracePeriodSeconds"), Some(i64::MAX - 1));
}

#[tokio::test]
async fn system_priority_classes_stay() {
    let w = world().await;
    let class = |name: &str| call("priorityclasses.scheduling.k8s.io", "", name);
    let new = object(json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "system-node-critical"}, "value": 2_000_001_000}));
    w.create(&class(""), new).await.expect("created");
    for name in ["system-node-critical", "system-cluster-critical"] {
        let status = w.delete(&class(name), DeleteOptions::default()).await.expect_err("a system class");
        let text = format!(
            "priorityclasses.scheduling.k8s.io {name:?} is forbidden: this is a system priority class and cannot be deleted"
        );
        assert_eq!((status.code, status.message), (403, text), "also when it is not there");
    }
    assert_eq!(w.delete(&class("other"), DeleteOptions::default()).await.map_err(|s| s.code), Err(404));
}
