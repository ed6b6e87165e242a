//! Create and update.

use meta::Reason;
use registry::api::Call;
use serde_json::json;

use crate::kit::*;

#[tokio::test]
async fn a_new_object_gets_its_identity() {
    let w = world().await;
    let mut new = config_map("a", json!({"k": "v"}));
    new.set("metadata.uid", "mine");
    new.set("metadata.deletionTimestamp", "2020-01-01T00:00:00Z");
    let made = w.create(&cm(""), new).await.expect("created");
    assert_eq!((made.namespace(), made.name()), ("default", "a"));
    assert!(made.uid().len() == 36 && made.deletion_timestamp().is_none());
    assert!(!made.str_at("metadata.creationTimestamp").is_empty() && !made.resource_version().is_empty());
    assert_eq!(w.get(&cm("a")).await, Ok(made));
    let missing = w.get(&cm("b")).await.expect_err("absent");
    assert_eq!((missing.code, &*missing.message), (404, r#"configmaps "b" not found"#));
}

#[tokio::test]
async fn creation_is_refused_with_upstream_texts() {
    let w = world().await;
    w.make("a").await;
    let refused = |name: &'static str, path: &'static str, set: &'static str| {
        let mut new = config_map(name, json!({}));
        if !path.is_empty() {
            new.set(path, set);
        }
        let w = &w;
        async move { w.create(&cm(""), new).await.expect_err("refused") }
    };
    let status = refused("a", "", "").await;
    assert_eq!((status.code, &*status.message), (409, r#"configmaps "a" already exists"#));
    let status = refused("", "", "").await;
    let text = r#"ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required"#;
    assert_eq!((status.code, &*status.message), (422, text));
    assert_eq!(status.causes[0].reason, "FieldValueRequired");
    let status = refused("A", "", "").await;
    assert!(status.message.starts_with(r#"ConfigMap "A" is invalid: metadata.name: Invalid value: "A": a lowercase RFC 1123"#));
    let status = refused("b", "metadata.namespace", "other").await;
    assert_eq!(status.code, 400);
    let status = refused("b", "metadata.resourceVersion", "7").await;
    assert_eq!((status.code, &*status.message), (500, "resourceVersion should not be set on objects to be created"));
    let nowhere = call("nothings", "default", "");
    assert_eq!(w.create(&nowhere, config_map("a", json!({}))).await.map_err(|s| s.code), Err(404));
}

#[tokio::test]
async fn a_generated_name_is_unlike_the_others() {
    let w = world().await;
    let new = object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}));
    let a = w.create(&cm(""), new.clone()).await.expect("created");
    let b = w.create(&cm(""), new).await.expect("created");
    assert!(a.name().starts_with("x-") && a.name().len() == 7 && a.name() != b.name());
}

#[tokio::test]
async fn an_update_needs_the_present_version() {
    let w = world().await;
    let a = w.make("a").await;
    let mut changed = a.clone();
    changed.set("data.k", "v");
    let b = w.update(&cm("a"), changed.clone()).await.expect("updated");
    assert!(b.resource_version() > a.resource_version());
    assert_eq!(b.uid(), a.uid());
    let status = w.update(&cm("a"), changed.clone()).await.expect_err("old");
    assert_eq!((status.code, status.reason), (409, Reason::Conflict));
    assert_eq!(
        status.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
         the latest version and try again"
    );
    // Without a version it is unconditional; without a change nothing is written.
    changed.remove("metadata.resourceVersion");
    changed.remove("metadata.managedFields");
    let same = w.update(&cm("a"), changed).await.expect("unconditional");
    assert_eq!(same.resource_version(), b.resource_version());
    assert_eq!(w.update(&cm("gone"), config_map("gone", json!({}))).await.map_err(|s| s.code), Err(404));
}

#[tokio::test]
async fn an_update_keeps_what_is_not_the_clients() {
    let w = world().await;
    let a = w.make("a").await;
    let mut changed = config_map("a", json!({"k": "v"}));
    changed.set("metadata.creationTimestamp", "2001-01-01T00:00:00Z");
    let b = w.update(&cm("a"), changed.clone()).await.expect("updated");
    assert_eq!(b.str_at("metadata.creationTimestamp"), a.str_at("metadata.creationTimestamp"));
    assert_eq!(b.uid(), a.uid());
    changed.set("metadata.uid", "other");
    let status = w.update(&cm("a"), changed).await.expect_err("another object");
    assert_eq!(status.code, 409);
    assert!(status.message.contains("Precondition failed: UID in precondition: other, UID in object meta: "));
    let status = w.update(&cm("a"), config_map("b", json!({}))).await.expect_err("another name");
    assert_eq!(status.message, "the name of the object (b) does not match the name on the URL (a)");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let w = world().await;
    let dry = |name: &str| Call { dry_run: true, ..cm(name) };
    let made = w.create(&dry(""), config_map("a", json!({}))).await.expect("would be created");
    assert!(!made.uid().is_empty() && made.resource_version().is_empty());
    assert_eq!(w.get(&cm("a")).await.map_err(|s| s.code), Err(404));
    let a = w.make("a").await;
    assert_eq!(w.create(&dry(""), config_map("a", json!({}))).await.map_err(|s| s.code), Err(409));
    let b = w.update(&dry("a"), config_map("a", json!({"k": "v"}))).await.expect("would be updated");
    assert_eq!(b.str_at("data.k"), "v");
    let (_, gone) = w.delete(&dry("a"), Default::default()).await.expect("would be deleted");
    assert!(gone);
    assert_eq!(w.get(&cm("a")).await, Ok(a));
}

#[tokio::test]
async fn writers_in_a_race_all_win_in_turn() {
    let w = world().await;
    w.make("a").await;
    let patches = (0..50).map(|i| {
        let w = &w;
        async move {
            let patch = registry::api::Patch::Merge(json!({"data": {format!("k{i}"): "v"}}));
            w.patch(&cm("a"), patch).await.expect("patched")
        }
    });
    futures::future::join_all(patches).await;
    let a = w.get(&cm("a")).await.expect("there");
    assert_eq!(a.at("data").and_then(|d| d.as_object()).map(|d| d.len()), Some(50));
}
