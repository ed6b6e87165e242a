//! Server-side apply.

use registry::api::{Call, Patch};
use serde_json::{Value, json};

use crate::kit::*;

fn by(manager: &str, call: Call) -> Call {
    Call { field_manager: manager.to_owned(), ..call }
}

fn apply(configuration: Value, force: bool) -> Patch {
    Patch::Apply { configuration: object(configuration), force }
}

fn data(data: Value) -> Patch {
    apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}), false)
}

fn managers(o: &meta::Object) -> Vec<String> {
    let list = o.list_at("metadata.managedFields").iter();
    list.map(|m| format!("{} {} {}", m["manager"].as_str().unwrap_or(""), m["operation"], m["fieldsV1"])).collect()
}

#[tokio::test]
async fn what_is_applied_is_owned_and_what_is_left_out_goes() {
    let w = world().await;
    let me = by("me", cm("a"));
    let written = w.registry.patch(&me, data(json!({"x": "1", "y": "2"}))).await.expect("applied");
    assert!(written.created);
    assert_eq!(managers(&value(&written.object)), [r#"me "Apply" {"f:data":{"f:x":{},"f:y":{}}}"#]);
    let again = w.patch(&me, data(json!({"x": "1", "y": "2"}))).await.expect("applied");
    assert_eq!(again.resource_version(), written.object.revision.to_string(), "nothing to do");
    let other = w.patch(&by("other", cm("a")), data(json!({"y": "2", "z": "3"}))).await.expect("shared");
    assert_eq!(other.at("data"), Some(&json!({"x": "1", "y": "2", "z": "3"})));
    // `y` stays, since somebody else wants it, too.
    let less = w.patch(&me, data(json!({}))).await.expect("applied");
    assert_eq!(less.at("data"), Some(&json!({"y": "2", "z": "3"})));
    let left = [r#"me "Apply" {"f:data":{}}"#, r#"other "Apply" {"f:data":{"f:y":{},"f:z":{}}}"#];
    assert_eq!(managers(&less), left, "an empty map is a value");
}

#[tokio::test]
async fn others_fields_are_taken_by_force_alone() {
    let w = world().await;
    w.create(&cm(""), config_map("a", json!({"x": "1", "w": "0"}))).await.expect("created");
    let me = by("me", cm("a"));
    let status = w.patch(&me, data(json!({"x": "2"}))).await.expect_err("conflict");
    assert_eq!((status.code, &*status.causes[0].field), (409, ".data.x"));
    assert_eq!(status.message, r#"Apply failed with 1 conflict: conflict with "test" using v1: .data.x"#);
    let forced = apply(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "2"}}), true,
    );
    let mine = w.patch(&me, forced).await.expect("forced");
    assert_eq!(mine.at("data"), Some(&json!({"x": "2", "w": "0"})));
    let of = [r#"me "Apply" {"f:data":{"f:x":{}}}"#, r#"test "Update" {"f:data":{".":{},"f:w":{}}}"#];
    assert_eq!(managers(&mine), of);
    // An update takes without asking, and is kept account of.
    let edited = w.patch(&by("edit", cm("a")), Patch::Merge(json!({"data": {"x": "3"}}))).await.expect("patched");
    assert!(managers(&edited).contains(&r#"edit "Update" {"f:data":{"f:x":{}}}"#.to_owned()));
    assert_eq!(w.patch(&me, data(json!({"x": "2"}))).await.map_err(|s| s.code), Err(409));
}

#[tokio::test]
async fn lists_are_merged_by_their_keys() {
    let w = world().await;
    let target = |manager: &str| by(manager, call("deployments.apps", "default", "d"));
    let deployment = |containers: Value| {
        apply(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers}}}}), false)
    };
    let two = json!([{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}, {"name": "e", "image": "i"}]);
    w.patch(&target("me"), deployment(two)).await.expect("applied");
    let side = w.patch(&target("side"), deployment(json!([{"name": "s", "image": "j"}]))).await.expect("applied");
    let names = |o: &meta::Object| -> Vec<String> {
        let containers = o.list_at("spec.template.spec.containers").iter();
        containers.map(|c| c["name"].as_str().unwrap_or("").to_owned()).collect()
    };
    assert_eq!(names(&side), ["c", "e", "s"]);
    let one = json!([{"name": "c", "image": "k", "ports": [{"containerPort": 80}]}]);
    let less = w.patch(&target("me"), deployment(one)).await.expect("applied");
    assert_eq!(names(&less), ["c", "s"]);
    let container = &less.list_at("spec.template.spec.containers")[0];
    assert_eq!((&container["image"], container["ports"].as_array().map(Vec::len)), (&json!("k"), Some(1)));
    let unknown = apply(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"x": 1}}), false);
    let status = w.patch(&target("me"), unknown).await.expect_err("unknown");
    assert!(status.message.ends_with(".spec.x: field not declared in schema"), "{status}");
    for (odd, why) in [(json!(null), "may not have a null element"), (json!("c"), "may not have non-map elements")] {
        let status = w.patch(&target("me"), deployment(json!([{"name": "c"}, odd]))).await.expect_err("an odd item");
        let list = "): .spec.template.spec.containers: element 1: associative list with keys";
        assert!(status.message.ends_with(&format!("{list} {why}")), "{status}");
    }
}

#[tokio::test]
async fn a_key_that_is_always_printed_may_be_left_out() {
    let w = world().await;
    let service = apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]},
        "status": {"conditions": [{"status": "x"}]}}), false);
    w.patch(&call("services", "default", "s"), service).await.expect("applied");
    let odd = apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80, "targetPort": ["a"]}]}}), false);
    let status = w.patch(&call("services", "default", "s"), odd).await.expect_err("a list in place of a port");
    assert!(status.message.starts_with("failed to convert new object (/s; /v1, Kind=Service)"), "{status}");
}

#[tokio::test]
async fn a_key_that_is_null_is_a_key() {
    let w = world().await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}, "secrets": [{"name": null}]});
    let call = by("me", call("serviceaccounts", "default", "a"));
    let applied = w.patch(&call, apply(account, false)).await.expect("applied");
    assert_eq!(managers(&applied), [r#"me "Apply" {"f:secrets":{"k:{\"name\":null}":{}}}"#]);
    let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    let updated = w.patch(&call, patch).await.expect("patched");
    assert_eq!(managers(&updated), [""; 0], "no path leads to what has no name");
}

#[tokio::test]
async fn a_set_within_an_atomic_list_has_no_item_twice() {
    let w = world().await;
    let slice = apply(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "s"},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.1.1.1", "10.1.1.1"]}]}), false);
    let status = w.patch(&call("endpointslices.discovery.k8s.io", "default", "s"), slice).await.expect_err("twice");
    assert!(status.message.contains("): .endpoints[0].addresses: duplicate entries for key"), "{status}");
}

#[tokio::test]
async fn every_write_is_kept_account_of() {
    let w = world().await;
    let made = w.create(&by("maker", cm("")), config_map("a", json!({"x": "1"}))).await.expect("created");
    assert_eq!(managers(&made), [r#"maker "Update" {"f:data":{".":{},"f:x":{}}}"#]);
    let other = by("other", cm("a"));
    let changed = w.patch(&other, Patch::Merge(json!({"data": {"x": "2", "y": "3"}}))).await.expect("patched");
    let both = [r#"maker "Update" {"f:data":{}}"#, r#"other "Update" {"f:data":{"f:x":{},"f:y":{}}}"#];
    assert_eq!(managers(&changed), both);
    let same = w.patch(&by("third", cm("a")), Patch::Merge(json!({}))).await.expect("patched");
    assert_eq!(managers(&same), both, "who changes nothing manages nothing");
    let gone = w.patch(&other, Patch::Merge(json!({"data": {"x": null}}))).await.expect("patched");
    assert_eq!(managers(&gone)[1], r#"other "Update" {"f:data":{"f:y":{}}}"#);
    let forgotten = w.patch(&other, Patch::Merge(json!({"metadata": {"managedFields": [{}]}}))).await.expect("patched");
    assert!(managers(&forgotten).is_empty());
    let quiet = w.patch(&other, Patch::Merge(json!({"data": {"z": "1"}}))).await.expect("patched");
    assert!(managers(&quiet).is_empty(), "there is no account to keep");
}
