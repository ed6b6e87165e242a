//! Strategic merge patches, applied and found.

use meta::Object;
use serde_json::{Value, json};

use super::schema;
use crate::PatchError;

fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

fn pod(spec: Value) -> Value {
    json!({"metadata": {"name": "a"}, "spec": spec})
}

/// Applies patches of a pod's spec.
fn patched(spec: Value, patch: Value) -> Value {
    let merged = schema("", "v1", "Pod").strategic_merge(&object(pod(spec)), &json!({"spec": patch}));
    merged.expect("merges").remove("spec").expect("a spec")
}

fn refused(spec: Value, patch: Value) -> PatchError {
    schema("", "v1", "Pod").strategic_merge(&object(pod(spec)), &json!({"spec": patch})).expect_err("is refused")
}

#[test]
fn lists_are_merged_by_their_key() {
    let spec = json!({"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}]});
    let result = patched(spec.clone(), json!({"containers": [{"name": "b", "image": "2"}, {"name": "c"}], "nodeName": "n"}));
    assert_eq!(
        result,
        json!({"nodeName": "n", "containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}, {"name": "c"}]})
    );
    let result = patched(spec.clone(), json!({"containers": [{"name": "a", "args": ["y"], "image": null}]}));
    assert_eq!(result["containers"][0], json!({"name": "a", "args": ["y"]}));
    let result = patched(spec.clone(), json!({"containers": [{"name": "a", "$patch": "delete"}]}));
    assert_eq!(result, json!({"containers": [{"name": "b", "image": "1"}]}));
    let result = patched(spec, json!({"containers": [{"$patch": "replace"}, {"name": "z"}]}));
    assert_eq!(result, json!({"containers": [{"name": "z"}]}));
}

#[test]
fn directives_order_retain_and_delete() {
    let spec = json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    let order = json!({"$setElementOrder/containers": [{"name": "c"}, {"name": "d"}, {"name": "a"}], "containers": [{"name": "d"}]});
    let names: Vec<Value> = patched(spec, order)["containers"].as_array().expect("list").iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["b", "c", "d", "a"]);

    let volumes = json!({"volumes": [{"name": "v", "emptyDir": {}}]});
    let patch = json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]}]});
    assert_eq!(patched(volumes.clone(), patch), json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}));
    let patch = json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name"]}]});
    assert_eq!(refused(volumes, patch), PatchError::Malformed("invalid patch format of retainKeys".into()));

    let finalizers = object(json!({"metadata": {"finalizers": ["a", "b", "c"], "labels": {"x": "1", "y": "2"}}}));
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"], "labels": {"x": null, "z": "3"}}});
    let merged = schema("", "v1", "ConfigMap").strategic_merge(&finalizers, &patch).expect("merges");
    assert_eq!(
        merged.into_value(),
        json!({"metadata": {"finalizers": ["d", "a", "c"], "labels": {"y": "2", "z": "3"}}})
    );

    let affinity = json!({"affinity": {"nodeAffinity": {}, "podAffinity": {}}});
    assert_eq!(patched(affinity.clone(), json!({"affinity": {"$patch": "replace"}})), json!({"affinity": {}}));
    assert_eq!(patched(affinity, json!({"affinity": {"$patch": "delete"}})), json!({"affinity": {}}));
}

#[test]
fn refusals_have_upstreams_words() {
    let spec = json!({"containers": [{"name": "a"}], "securityContext": {"runAsUser": 1}});
    assert_eq!(
        refused(spec.clone(), json!({"containers": [{"image": "x"}]})),
        PatchError::Unfit("map: map[image:x] does not contain declared merge key: name".into())
    );
    assert_eq!(
        refused(spec.clone(), json!({"securityContext": {"$patch": "no"}})),
        PatchError::Unfit("unknown patch type: no in map: map[$patch:no]".into())
    );
    assert_eq!(
        refused(json!({"nodeSelector": {"a": {}}}), json!({"nodeSelector": {"a": {"b": "c"}}})),
        PatchError::Unfit("merging an object in json but data type is not struct, instead is: map".into())
    );
    let with_unknown = json!({"securityContext": {"foo": {"a": 1}}});
    let merged = patched(spec, with_unknown);
    assert_eq!(merged["securityContext"]["foo"], json!({"a": 1}), "unknown fields are for the decoder to report");
}

#[test]
fn apply_finds_what_to_add_and_what_to_take_away() {
    let deployment = |containers: Value, labels: Value, strategy: Value| {
        object(json!({"metadata": {"name": "d", "labels": labels}, "spec": {"strategy": strategy, "template": {"spec": {"containers": containers}}}}))
    };
    let schema = schema("apps", "v1", "Deployment");
    let original = deployment(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]), json!({"x": "1", "y": "1"}), json!({"type": "Recreate"}));
    let modified = deployment(json!([{"name": "c", "image": "1"}, {"name": "a", "image": "2"}]), json!({"x": "1"}), json!({"type": "RollingUpdate"}));
    let current = deployment(
        json!([{"name": "a", "image": "1", "terminationMessagePath": "/dev/termination-log"}, {"name": "b", "image": "1"}, {"name": "s", "image": "1"}]),
        json!({"x": "1", "y": "1", "z": "1"}),
        json!({"type": "Recreate"}),
    );
    let patch = schema.three_way_strategic(&original, &modified, &current).expect("a patch");
    assert_eq!(
        patch,
        json!({
            "metadata": {"labels": {"y": null}},
            "spec": {
                "strategy": {"$retainKeys": ["type"], "type": "RollingUpdate"},
                "template": {"spec": {
                    "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
                    "containers": [{"name": "c", "image": "1"}, {"name": "a", "image": "2"}, {"$patch": "delete", "name": "b"}],
                }},
            },
        })
    );
    let merged = schema.strategic_merge(&current, &patch).expect("merges");
    assert_eq!(
        merged.at("spec.template.spec.containers"),
        Some(&json!([
            {"name": "c", "image": "1"},
            {"name": "a", "image": "2", "terminationMessagePath": "/dev/termination-log"},
            {"name": "s", "image": "1"},
        ]))
    );
    assert_eq!(merged.at("metadata.labels"), Some(&json!({"x": "1", "z": "1"})));
    let again = schema.three_way_strategic(&modified, &modified, &merged).expect("a patch");
    let order = json!([{"name": "c"}, {"name": "a"}]);
    let only_order = json!({"spec": {"template": {"spec": {"$setElementOrder/containers": order}}}});
    assert_eq!(again, only_order, "upstream repeats the order when the server has elements of its own");
    assert_eq!(schema.three_way_strategic(&modified, &modified, &modified).expect("a patch"), json!({}));
}
