//! What upstream's program is not asked (`kinds/tests/structural` holds the rest against it): bounds, splicing, and the words
//! that clients know best.

use meta::{Gvk, Object};
use serde_json::{Map, Value, json};

use crate::Schema;

fn custom(schema: Value) -> Schema {
    let Value::Object(props) = schema else { panic!("a schema is a map") };
    Schema::structural(Gvk::new("example.com", "v1", "Thing"), &props).expect("structural")
}

fn thing() -> Schema {
    custom(json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "replicas": {"type": "integer", "minimum": 1, "default": 1},
        "size": {"type": "string", "enum": ["S", "M"]},
        "template": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer", "maximum": 100}}}},
    }}}}))
}

fn object(spec: Value) -> Object {
    let tree = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec});
    thing().decode_value(&tree).expect("decodes").object
}

fn wrong(new: Value, old: Option<Value>) -> Vec<String> {
    let (new, old) = (object(new), old.map(object));
    thing().validate(&new, old.as_ref(), Vec::new(), &|_, _| Vec::new()).iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_wrong_is_said_in_upstreams_words() {
    assert_eq!(
        wrong(json!({"replicas": "three", "size": "L", "ports": [{"name": "a"}, {"name": "a", "port": 101}]}), None),
        [
            r#"spec.ports[1].port: Invalid value: 101: spec.ports[1].port in body should be less than or equal to 100"#,
            r#"spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string""#,
            r#"spec.size: Unsupported value: "L": supported values: "S", "M""#,
            r#"spec.ports[1]: Duplicate value: {"name":"a"}"#,
        ]
    );
}

#[test]
fn what_was_wrong_before_is_let_be() {
    let old = json!({"size": "L", "ports": [{"name": "b", "port": 200}, {"name": "a", "port": 300}]});
    assert_eq!(wrong(old.clone(), Some(old.clone())), [""; 0]);
    // Elements are known by their names.
    let moved = json!({"size": "L", "ports": [{"name": "a", "port": 300}, {"name": "b", "port": 201}]});
    let said = "spec.ports[1].port: Invalid value: 201: spec.ports[1].port in body should be less than or equal to 100";
    assert_eq!(wrong(moved, Some(old)), [said]);
}

#[test]
fn keys_are_sorted_and_the_revision_is_left_open() {
    let schema = thing();
    let text = r#"{"spec":{"size":"S","template":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"5","odd":1}}},
        "metadata":{"uid":"u","name":"a","labels":{}},"kind":"Thing","apiVersion":"example.com/v1"}"#;
    let decoded = schema.decode_json(text.as_bytes()).expect("decodes");
    assert_eq!(decoded.strict_errors, [r#"unknown field "spec.template.metadata.odd""#]);
    let (bytes, at) = schema.encode(&decoded.object, true);
    let expected = r#"{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"a","resourceVersion":"","uid":"u"},"spec":{"size":"S","template":{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"5"}}}}"#;
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
    let at = at.expect("an offset");
    assert!(expected[..at].ends_with(r#""resourceVersion":""#), "{at}");
}

#[test]
fn the_metadata_of_an_object_is_refused_as_that_of_any_kind() {
    let of = |text: &str| thing().decode_json(text.as_bytes()).expect_err("refused").to_string();
    let own = "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string";
    assert_eq!(of(r#"{"metadata":{"name":5}}"#), own);
    let within = of(r#"{"metadata":{},"spec":{"template":{"metadata":{"name":5}}}}"#);
    assert_eq!(within, format!("spec.template.metadata: Invalid value: {{\"name\":5}}: {own}"));
}

#[test]
fn a_custom_resource_has_no_patch_strategies_and_no_protobuf() {
    assert!(!thing().has_patch_strategies());
    assert!(thing().encode_proto(&object(json!({}))).is_none());
    assert!(Schema::builtin(&Gvk::new("", "v1", "Pod")).expect("built in").has_patch_strategies());
}

#[test]
fn schemas_are_bounded_in_number_and_depth() {
    let of = |schema: &Map<String, Value>| Schema::structural(Gvk::new("example.com", "v1", "Thing"), schema).map(drop);
    let wide: Map<String, Value> = (0..70_000).map(|n| (n.to_string(), json!({}))).collect();
    let wide = json!({"type": "object", "properties": wide});
    assert!(of(wide.as_object().expect("a map")).expect_err("too many").starts_with("has more than "));
    let mut deep = json!({});
    for _ in 0..1_000 {
        deep = json!({"items": deep});
    }
    assert!(of(deep.as_object().expect("a map")).expect_err("too deep").starts_with("is nested more than "));
}

#[test]
fn what_is_published_otherwise_has_another_fingerprint() {
    let plain = || custom(json!({"type": "object"}));
    let all = [plain(), plain().publishing("Things", []), plain().publishing("ThingList", []), plain().publishing("ThingList", ["spec.a".to_owned()])];
    let different: std::collections::HashSet<u64> = all.iter().map(Schema::fingerprint).collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(plain().publishing("Things", []).fingerprint(), all[1].fingerprint());
}
