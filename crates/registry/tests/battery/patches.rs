//! The patch languages.

use meta::Reason;
use registry::api::{Call, FieldValidation, Patch};
use serde_json::json;

use crate::kit::*;

#[tokio::test]
async fn each_language_changes_the_object() {
    let w = world().await;
    w.create(&cm(""), config_map("a", json!({"x": "1", "y": "2"}))).await.expect("created");
    let merged = w.patch(&cm("a"), Patch::Merge(json!({"data": {"x": null, "z": "3"}}))).await.expect("merged");
    assert_eq!(merged.at("data"), Some(&json!({"y": "2", "z": "3"})));
    let operations = json!([{"op": "test", "path": "/data/y", "value": "2"}, {"op": "remove", "path": "/data/y"}]);
    let patched = w.patch(&cm("a"), Patch::Json(operations.clone())).await.expect("patched");
    assert_eq!(patched.at("data"), Some(&json!({"z": "3"})));
    let strategic = Patch::Strategic(json!({"data": {"z": "4"}, "metadata": {"labels": {"l": "v"}}}));
    let patched = w.patch(&cm("a"), strategic).await.expect("patched");
    assert_eq!((patched.str_at("data.z"), patched.label("l")), ("4", Some("v")));
    let same = w.patch(&cm("a"), Patch::Merge(json!({}))).await.expect("nothing to do");
    assert_eq!(same.resource_version(), patched.resource_version());
    let status = w.patch(&cm("a"), Patch::Json(operations)).await.expect_err("the test fails");
    assert_eq!((status.code, status.reason), (422, Reason::Invalid));
    assert_eq!(status.message, "the server rejected our request due to an error in our request");
    assert_eq!(w.patch(&cm("b"), Patch::Merge(json!({}))).await.map_err(|s| s.code), Err(404));
}

#[tokio::test]
async fn a_patch_may_name_the_version_it_is_for() {
    let w = world().await;
    let a = w.make("a").await;
    let patch = |v: &str| Patch::Merge(json!({"metadata": {"resourceVersion": v}, "data": {"k": v}}));
    w.patch(&cm("a"), patch(a.resource_version())).await.expect("the present one");
    let status = w.patch(&cm("a"), patch(a.resource_version())).await.expect_err("an old one");
    assert_eq!(status.code, 409);
}

#[tokio::test]
async fn unknown_fields_are_refused_or_warned_of() {
    let w = world().await;
    w.make("a").await;
    let patch = || Patch::Merge(json!({"data": {"k": "v"}, "nonsense": 1}));
    let with = |field_validation| Call { field_validation, ..cm("a") };
    let status = w.patch(&with(FieldValidation::Strict), patch()).await.expect_err("strict");
    assert!(status.message.contains(r#"strict decoding error: unknown field "nonsense""#), "{status}");
    let written = w.registry.patch(&with(FieldValidation::Warn), patch()).await.expect("warned");
    assert_eq!(written.warnings, [r#"unknown field "nonsense""#]);
    assert_eq!(value(&written.object).at("nonsense"), None);
    let written = w.registry.patch(&with(FieldValidation::Ignore), patch()).await.expect("ignored");
    assert!(written.warnings.is_empty());
}

#[tokio::test]
async fn a_patched_document_is_of_the_same_kind() {
    let w = world().await;
    w.make("a").await;
    let status = w.patch(&cm("a"), Patch::Merge(json!({"kind": "Secret"}))).await.expect_err("another kind");
    assert!(status.message.ends_with("converting (v1.Secret) to (core.ConfigMap): unknown conversion"), "{status}");
    assert_eq!(status.code, 422);
    let kept = w.patch(&cm("a"), Patch::Strategic(json!({"kind": "Secret"}))).await.expect("nobody looks");
    assert_eq!(kept.kind(), "ConfigMap");
}

#[tokio::test]
async fn a_document_that_loses_its_version_loses_its_fields() {
    let w = world().await;
    w.create(&cm(""), config_map("a", json!({"x": "1"}))).await.expect("created");
    let patch = || Patch::Merge(json!({"apiVersion": ""}));
    let status = w.patch(&cm("a"), patch()).await.expect_err("no name is left");
    assert_eq!(status.message, "the name of the object (a based on URL) was undeterminable: name must be provided");
    assert_eq!(status.warnings, [r#"unknown field "data""#, r#"unknown field "metadata""#]);
    let status = w.patch(&cm("a"), Patch::Merge(json!({"apiVersion": "a/b/c"}))).await.expect_err("no version");
    assert!(status.message.ends_with("unexpected GroupVersion string: a/b/c"), "{status}");
    let strict = Call { field_validation: FieldValidation::Strict, ..cm("a") };
    let status = w.patch(&strict, patch()).await.expect_err("unknown fields");
    assert!(status.message.ends_with(r#"strict decoding error: unknown field "data", unknown field "metadata""#), "{status}");
}

#[tokio::test]
async fn a_merge_takes_nulls_out_of_lists() {
    let w = world().await;
    w.create(&cm(""), config_map("a", json!({}))).await.expect("created");
    let owners = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1", "controller": null}]}});
    let patched = w.patch(&cm("a"), Patch::Merge(owners)).await.expect("patched");
    let owner = json!({"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1"});
    assert_eq!(patched.at("metadata.ownerReferences"), Some(&json!([owner])));
}
