//! The same depth is let in in every form, and what is let in can be printed and read.

use meta::{Object, limits};
use serde_json::{Value, json};

use super::schema;
use crate::{Schema, proto};

/// A tree that is that deep.
fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({}), |inner, at| if at % 2 == 0 { json!([inner]) } else { json!({"a": inner}) })
}

fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

/// Objects with free parts, at most as deep as told.
fn samples(depth: usize) -> Vec<(Schema, Object)> {
    let account = json!({"apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": nested(depth - 4), "manager": "m", "operation": "Update"});
    let schema_properties = (0..(depth - 6) / 2).fold(json!({}), |inner, _| json!({"properties": {"a": inner}}));
    let version = json!({"name": "v", "served": false, "storage": false, "schema": {"openAPIV3Schema": schema_properties}});
    let typed = |kind: &str, group: &str| json!({"kind": kind, "apiVersion": group});
    let with = |mut tree: Value, field: &str, value: Value| {
        tree[field] = value;
        object(tree)
    };
    vec![
        (schema("apps", "v1", "ControllerRevision"), with(typed("ControllerRevision", "apps/v1"), "data", nested(depth - 1))),
        (schema("", "v1", "ConfigMap"), with(typed("ConfigMap", "v1"), "metadata", json!({"managedFields": [account]}))),
        (
            schema("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            with(typed("CustomResourceDefinition", "apiextensions.k8s.io/v1"), "spec", json!({"versions": [version]})),
        ),
    ]
}

/// What each form's decoder says of an object.
fn decoded(schema: &Schema, object: &Object) -> [Result<Object, String>; 4] {
    let tree = object.clone().into_value();
    let envelope = schema.encode_proto(object).expect("has a form");
    [
        schema.decode_json(tree.to_string().as_bytes()),
        schema.decode_yaml(tree.to_string().as_bytes()),
        schema.decode_value(&tree),
        schema.decode_proto(&envelope),
    ]
    .map(|decoded| decoded.map(|decoded| decoded.object).map_err(|e| e.0))
}

#[test]
fn every_form_lets_in_what_is_not_too_deep() {
    for (schema, object) in samples(limits::NESTING) {
        for read in decoded(&schema, &object) {
            let read = read.unwrap_or_else(|why| panic!("{}: {why}", schema.gvk()));
            let (printed, _) = schema.encode(&read, false);
            assert!(serde_json::from_slice::<Value>(&printed).is_ok(), "{}", schema.gvk());
            assert!(limits::fits(&read.into_value(), limits::NESTING));
        }
    }
    for (schema, object) in samples(limits::NESTING + 2) {
        for read in decoded(&schema, &object) {
            let why = read.expect_err("too deep");
            assert!(why.ends_with("exceeded max depth"), "{}: {why}", schema.gvk());
        }
    }
}

#[test]
fn what_is_dropped_may_be_deeper() {
    let config_map = schema("", "v1", "ConfigMap");
    let dropped = |depth: usize| config_map.decode_json(format!(r#"{{"x":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth)).as_bytes());
    assert_eq!(dropped(limits::NESTING_DROPPED - 1).expect("is dropped").strict_errors, ["unknown field \"x\""]);
    assert!(dropped(limits::NESTING_DROPPED).expect_err("too deep").0.ends_with("exceeded max depth"));
    for broken in [r#"{"x":[1,}"#, r#"{"x":{"a":1"b"}}"#, r#"{"x":[[1 2]]}"#, r#"{"x":{"a" 1}}"#, r#"{"x":[{]}"#] {
        let go = crate::json_tree(broken.as_bytes()).expect_err("broken");
        assert!(config_map.decode_json(broken.as_bytes()).expect_err("broken").0.ends_with(&go), "{broken}");
    }
}

#[test]
fn depth_counts_through_everything_that_is_embedded() {
    let revision = schema("apps", "v1", "ControllerRevision");
    // data (2) with raw bytes (1): an object in an object in an object.
    let field = |number: u8, bytes: &[u8]| {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length > 0x7f {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
        out
    };
    let mut inner = proto::wrap("apps/v1", "ControllerRevision", &[]);
    for depth in 2..1_000 {
        inner = proto::wrap("apps/v1", "ControllerRevision", &field(2, &field(1, &inner)));
        let read = revision.decode_proto(&inner);
        assert_eq!(read.is_ok(), depth <= limits::NESTING, "{depth}");
    }
    // The same in managedFields (17) is no set of fields: its manager is forgotten, as upstream does it.
    let config_map = schema("", "v1", "ConfigMap");
    let mut inner = proto::wrap("v1", "ConfigMap", &[]);
    for _ in 0..1_000 {
        let entry = field(7, &field(1, &inner));
        let metadata = [&[0x8a, 0x01], &field(0, &entry)[1..]].concat();
        inner = proto::wrap("v1", "ConfigMap", &field(1, &metadata));
    }
    let read = config_map.decode_proto(&inner).expect("decodes").object;
    assert_eq!(read.list_at("metadata.managedFields"), [json!({"fieldsV1": ""})]);
}

#[test]
fn what_older_versions_stored_is_read() {
    let deep = nested(500).to_string();
    assert!(serde_json::from_str::<Value>(&deep).is_err(), "common readers do not go that far");
    assert!(crate::stored(deep.as_bytes()).is_ok());
}

/// What is there already is neither copied nor looked through when the same is said again; otherwise this takes hours.
#[test]
fn saying_much_again_and_again_takes_no_time() {
    let keys: Vec<String> = (0..50_000).map(|number| format!("\"k{number}\":\"v\"")).collect();
    let items: Vec<String> = (0..50_000).map(|number| format!("\"f{number}\"")).collect();
    let again = |field: &str| format!(",\"{field}\":{{}}").repeat(100_000);
    let text = format!("{{\"metadata\":{{\"labels\":{{{}}},\"finalizers\":[{}]}}{}}}", keys.join(","), items.join(","), again("metadata"));
    let decoded = schema("", "v1", "ConfigMap").decode_json(text.as_bytes()).expect("decodes");
    assert_eq!(decoded.strict_errors, ["duplicate field \"metadata\""]);
    assert_eq!(decoded.object.list_at("metadata.finalizers").len(), 50_000);
    let text = format!("{{\"data\":{{{}}}{}}}", keys.join(","), again("data"));
    let decoded = schema("", "v1", "ConfigMap").decode_json(text.as_bytes()).expect("decodes");
    assert_eq!(decoded.object.at("data").and_then(Value::as_object).map(|data| data.len()), Some(50_000));
}
