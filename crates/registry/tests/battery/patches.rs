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

/// JSON patch as upstream's library reads it (all of it: `schema/tests/json_patch.rs`).
#[tokio::test]
async fn json_patch_is_wider_than_its_standard() {
    let w = world().await;
    w.create(&cm(""), config_map("a", json!({"x": "1"}))).await.expect("created");
    let operations = json!([
        {"op": "test", "path": "/data/y", "value": null},
        {"op": "replace", "path": "/data/y", "value": "2"},
        {"op": "add", "path": "/metadata/finalizers", "value": ["a.io/a", "b.io/b"]},
        {"op": "replace", "path": "/metadata/finalizers/-1", "value": "c.io/c"},
        {"op": "remove", "path": "/metadata/finalizers/00"},
        {"op": "copy", "from": "/data/none", "path": "/metadata/labels"},
        {"op": "add", "path": "/binaryData"},
    ]);
    let patched = w.patch(&cm("a"), Patch::Json(operations)).await.expect("patched");
    assert_eq!(patched.at("data"), Some(&json!({"x": "1", "y": "2"})));
    assert_eq!(patched.finalizers().collect::<Vec<_>>(), ["c.io/c"]);
    let refused = async |operations| w.patch(&cm("a"), Patch::Json(operations)).await.expect_err("refused");
    let list = refused(json!([{"op": "replace", "path": "", "value": []}])).await;
    assert_eq!(list.code, 422);
    assert!(list.message.starts_with(" \"\" is invalid: patch: Invalid value: \"[]\": couldn't get version/kind"), "{}", list.message);
    assert_eq!(refused(json!([5])).await.message, "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp");
    let odd = refused(json!([{"op": 5, "path": "/a"}])).await;
    assert_eq!(odd.message, "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string");
    assert_eq!(refused(json!({})).await.code, 400);
}

#[tokio::test]
async fn a_json_patch_has_bounds() {
    let w = world().await;
    w.create(&cm(""), config_map("a", json!({"x": "1"}))).await.expect("created");
    let refused = async |operations: Vec<serde_json::Value>| {
        let status = w.patch(&cm("a"), Patch::Json(operations.into())).await.expect_err("refused");
        (status.code, status.message)
    };
    let test = json!({"op": "test", "path": "/data/x", "value": "1"});
    let many = refused(vec![test.clone(); 10_001]).await;
    assert_eq!(many, (413, "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001".to_owned()));
    w.patch(&cm("a"), Patch::Json(vec![test; 10_000].into())).await.expect("as many as may be");
    // Each copy doubles the document.
    let mut doubling = vec![json!({"op": "add", "path": "/data/y", "value": ["x".repeat(100_000)]})];
    doubling.extend((0..12).map(|_| json!({"op": "copy", "from": "/data", "path": "/data/y/-"})));
    let general = "the server rejected our request due to an error in our request".to_owned();
    assert_eq!(refused(doubling).await, (422, general.clone()));
    // Each move puts the whole below its deepest place.
    let mut deep = vec![json!({"op": "add", "path": "/data/a", "value": {}})];
    for _ in 1..500 {
        deep.push(json!({"op": "add", "path": "/data/b", "value": {}}));
        deep.push(json!({"op": "move", "from": "/data/a", "path": "/data/b/a"}));
        deep.push(json!({"op": "move", "from": "/data/b", "path": "/data/a"}));
    }
    assert_eq!(refused(deep).await, (422, general));
}

#[tokio::test]
async fn what_is_stored_can_be_sent_back() {
    let w = world().await;
    let huge = "x".repeat(3 << 20);
    let spec = json!({"containers": [{"name": "c", "image": "i", "args": [huge]}]});
    let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "huge"}, "spec": spec}));
    let status = w.create(&call("pods", "default", ""), pod).await.expect_err("too large");
    assert_eq!((status.code, &*status.message), (413, "Request entity too large: limit is 3145728"));
}
