//! The walks, seen from outside.

use meta::Gvk;
use serde_json::json;

use crate::Schema;

mod decoding;
mod limits;
mod patching;
mod protobuf;

pub(crate) fn schema(group: &str, version: &str, kind: &str) -> Schema {
    Schema::builtin(&Gvk::new(group, version, kind)).expect("a built-in kind")
}

#[test]
fn a_part_is_encoded_in_its_order() {
    let schema = Schema::builtin(&Gvk::new("apps", "v1", "Deployment")).expect("schema");
    let selector = serde_json::json!({"matchExpressions": [{"operator": "In", "key": "a"}], "matchLabels": {"b": "c"}});
    let text = schema.encode_at("spec.selector", &selector).expect("known");
    assert_eq!(text, r#"{"matchLabels":{"b":"c"},"matchExpressions":[{"key":"a","operator":"In"}]}"#);
    assert_eq!(schema.encode_at("spec.nothing", &selector), None);
    assert_eq!(schema.encode_at("spec.template", &serde_json::json!({"Spec": 1})), None);
}

#[test]
fn the_revision_is_left_open() {
    let config_map = schema("", "v1", "ConfigMap");
    let text = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"7","labels":{"resourceVersion":"x"}},"data":{"b":"<&>\u2028\n","a":"1"}}"#;
    let decoded = config_map.decode_json(text.as_bytes()).expect("decodes");
    let (bytes, at) = config_map.encode(&decoded.object, true);
    let expected = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"","labels":{"resourceVersion":"x"}},"data":{"a":"1","b":"\u003c\u0026\u003e\u2028\n"}}"#;
    assert_eq!(bytes, expected.as_bytes());
    let at = at.expect("an offset");
    assert_eq!(&expected[at - 19..=at], r#""resourceVersion":"""#);
}

#[test]
fn what_go_always_prints_is_printed() {
    let print = |schema: &Schema, value| {
        let decoded = schema.decode_value(&value).expect("decodes");
        String::from_utf8(schema.encode(&decoded.object, false).0.to_vec()).expect("UTF-8")
    };
    assert_eq!(
        print(&schema("", "v1", "Namespace"), json!({"kind": "Namespace", "metadata": {"name": "a", "creationTimestamp": null}})),
        r#"{"kind":"Namespace","metadata":{"name":"a"},"spec":{},"status":{}}"#
    );
    assert_eq!(
        print(&schema("", "v1", "Service"), json!({"spec": {"ports": [{"port": 80, "name": ""}], "selector": {}}})),
        r#"{"metadata":{},"spec":{"ports":[{"port":80,"targetPort":0}]},"status":{"loadBalancer":{}}}"#
    );
    assert_eq!(
        print(&schema("", "v1", "Pod"), json!({"spec": {"hostNetwork": false, "priority": 0, "containers": []}})),
        r#"{"metadata":{},"spec":{"containers":[],"priority":0},"status":{}}"#
    );
    assert_eq!(
        print(&schema("apps", "v1", "Deployment"), json!({"spec": {"replicas": 0}})),
        r#"{"metadata":{},"spec":{"replicas":0,"selector":null,"template":{"metadata":{},"spec":{"containers":null}},"strategy":{}},"status":{}}"#
    );
}

#[test]
fn schema_defaults_reach_nested_lists() {
    let pod = schema("", "v1", "Pod");
    let mut object = pod.decode_value(&json!({"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 1}]}]}})).expect("decodes").object;
    pod.default(&mut object);
    assert_eq!(object.at("spec.containers").expect("there")[0]["ports"][0]["protocol"], "TCP");
}
