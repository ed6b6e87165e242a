//! Server-side apply.

use registry::api::{Call, DeleteOptions, Patch};
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

const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What client-side apply creates: the object with the configuration in the annotation.
async fn client_side(w: &World, data: Value) -> meta::Object {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"annotations": {}, "name": "a"}, "data": data});
    let mut made = config.clone();
    made["metadata"]["annotations"][LAST] = format!("{config}\n").into();
    w.create(&by("kubectl-client-side-apply", cm("")), object(made)).await.expect("created")
}

#[tokio::test]
async fn kubectl_turns_from_client_side_to_server_side_apply() {
    let w = world().await;
    client_side(&w, json!({"x": "1", "y": "1"})).await;
    w.patch(&by("edit", cm("a")), Patch::Merge(json!({"data": {"y": "2"}}))).await.expect("patched");
    // Who is not kubectl meets what kubectl applied as anybody's.
    let status = w.patch(&by("me", cm("a")), data(json!({"x": "3"}))).await.expect_err("conflict");
    assert_eq!((status.code, &*status.causes[0].field), (409, ".data.x"));
    // What was edited meanwhile is not what client-side apply left.
    let kubectl = by("kubectl", cm("a"));
    let status = w.patch(&kubectl, data(json!({"x": "3", "y": "3"}))).await.expect_err("conflict");
    assert_eq!(status.message, r#"Apply failed with 1 conflict: conflict with "edit" using v1: .data.y"#);
    let applied = w.patch(&kubectl, data(json!({"x": "<3>"}))).await.expect("applied");
    assert_eq!(applied.at("data"), Some(&json!({"x": "<3>", "y": "2"})));
    assert_eq!(managers(&applied)[0], r#"kubectl "Apply" {"f:data":{"f:x":{}}}"#);
    let left = r#"kubectl-client-side-apply "Update" {"f:data":{},"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}}}"#;
    assert!(managers(&applied).contains(&left.to_owned()), "{:?}", managers(&applied));
    // The next client-side apply starts from what was applied.
    let now = r#"{"apiVersion":"v1","data":{"x":"\u003c3\u003e"},"kind":"ConfigMap","metadata":{"name":"a"}}"#;
    assert_eq!(applied.annotation(LAST), Some(&*format!("{now}\n")));
}

#[tokio::test]
async fn an_annotation_that_does_not_fit_the_object_excuses_nothing() {
    let w = world().await;
    for odd in ["{", "[]", r#"{"apiVersion":"v2","kind":"ConfigMap","data":{"x":"1"}}"#, r#"{"apiVersion":"v1","kind":"Secret","data":{"x":"1"}}"#,
        r#"{"apiVersion":"v1","kind":"ConfigMap","data":{"x":"1"},"unknown":1}"#]
    {
        let mut made = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "annotations": {}}, "data": {"x": "1"}});
        made["metadata"]["annotations"][LAST] = odd.into();
        w.create(&by("kubectl-client-side-apply", cm("")), object(made)).await.expect("created");
        let refused = w.patch(&by("kubectl", cm("a")), data(json!({"x": "2"}))).await.map_err(|s| s.code);
        assert_eq!(refused.err(), Some(409), "{odd}");
        w.delete(&cm("a"), DeleteOptions::default()).await.expect("deleted");
    }
}

#[tokio::test]
async fn a_last_applied_configuration_that_no_longer_fits_goes() {
    let w = world().await;
    let made = client_side(&w, json!({"x": "1"})).await;
    assert!(made.annotation(LAST).is_some());
    let applied = w.patch(&by("kubectl", cm("a")), data(json!({"x": "y".repeat(meta::limits::ANNOTATIONS)}))).await.expect("applied");
    assert_eq!(applied.annotation(LAST), None);
    let again = w.patch(&by("kubectl", cm("a")), data(json!({"x": "1"}))).await.expect("applied");
    assert_eq!(again.annotation(LAST), None, "there is none to keep current");
}
