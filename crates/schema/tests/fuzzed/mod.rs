//! What is done with bytes from outside, one function a decoder. None may panic, and what was let in must be printed,
//! read again and be the same.

#![allow(dead_code, reason = "each fuzz target takes one of them")]

use std::sync::Arc;

use bytes::Bytes;
use meta::field::{Errors, Path};
use meta::selector::{Fields, Labels};
use meta::{Gvk, Object, Quantity, limits, time};
use schema::structural::Node;
use schema::{Schema, json_patch};
use serde_json::Value;

/// Kinds that together have a field of every sort.
fn kinds() -> impl Iterator<Item = Schema> {
    let all = [
        ("", "v1", "Pod"),
        ("", "v1", "Secret"),
        ("", "v1", "Event"),
        ("apps", "v1", "ControllerRevision"),
        ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
        ("policy", "v1", "PodDisruptionBudget"),
    ];
    all.into_iter().filter_map(|(group, version, kind)| Schema::builtin(&Gvk::new(group, version, kind)))
}

/// What is let in can be printed in every form and read again.
fn settled(schema: &Schema, object: &Object) {
    assert!(limits::fits(&Value::Object(object.fields().clone()), limits::NESTING));
    let (json, _) = schema.encode(object, false);
    assert!(serde_json::from_slice::<Value>(&json).is_ok(), "common readers read it");
    let again = schema.decode_json(&json).expect("what was printed is read").object;
    // Go prints a negative zero and reads an integer.
    if !json.windows(2).any(|two| two == b"-0") {
        assert_eq!(schema.encode(&again, false).0, json, "and is the same");
    }
    let mut defaulted = object.clone();
    schema.default(&mut defaulted);
    if let Some(envelope) = schema.encode_proto(object) {
        let read = schema.decode_proto(&envelope);
        assert!(read.is_ok(), "{:?}", read.err());
    }
}

/// A document as every kind.
pub fn json(data: &[u8]) {
    let tree = schema::json_tree(data);
    assert!(tree.is_err() || schema::stored(data).is_ok());
    drop(schema::kind_error(data));
    for schema in kinds() {
        if let Ok(decoded) = schema.decode_json(data) {
            settled(&schema, &decoded.object);
        }
        if let Ok((tree, _)) = &tree {
            drop(schema.convert_value(tree));
        }
    }
}

/// The same as YAML.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    schema::yaml_documents(text).for_each(|_| {});
    if let Ok((tree, _)) = schema::yaml_to_json(text) {
        assert!(limits::fits(&tree, limits::NESTING_AROUND));
        drop(schema::go_yaml::yaml(&tree));
    }
    if let Some(Ok(decoded)) = kinds().next().map(|pod| pod.decode_yaml(data)) {
        kinds().take(1).for_each(|pod| settled(&pod, &decoded.object));
    }
}

/// A message, with its envelope and without.
pub fn protobuf(data: &[u8]) {
    drop(schema::proto::open(data).map(|opened| opened.kind));
    for schema in kinds() {
        let gvk = schema.gvk();
        for bytes in [Bytes::copy_from_slice(data), schema::proto::wrap(&gvk.api_version(), &gvk.kind, data)] {
            if let Ok(decoded) = schema.decode_proto(&bytes) {
                assert!(limits::fits(&Value::Object(decoded.object.fields().clone()), limits::NESTING));
                let (json, _) = schema.encode(&decoded.object, false);
                drop(schema.decode_json(&json));
                schema.encode_proto(&decoded.object);
            }
        }
    }
}

/// A document and a patch, with a zero byte between them.
fn two(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.iter().position(|byte| *byte == 0)?;
    Some((&data[..at], &data[at + 1..]))
}

/// Rules are another crate's, which has targets of its own.
struct NoRules;

impl schema::structural::Expressions for NoRules {
    fn judge(&mut self, _: &Arc<Node>, _: bool, _: &Path, _: &Value) -> Result<Errors, Errors> {
        Ok(Errors::new())
    }
}

/// The schema of a custom resource, and an object of it.
pub fn structural(data: &[u8]) {
    const PROPS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    let (Some((props, document)), Some(reader)) = (two(data), Schema::definition(PROPS)) else { return };
    let Ok(props) = reader.decode_json(props) else { return };
    let (props, path) = (props.object.fields(), Path::new("schema"));
    let right = |_: &Path, _: &serde_json::Map<String, Value>| Vec::new();
    schema::structural::validate_form(&path, props);
    drop(schema::structural::validate_defaults(&path, props, true, &right, &mut NoRules));
    let Ok(custom) = Schema::structural(Gvk::new("example.com", "v1", "Thing"), props) else { return };
    if let Ok(decoded) = custom.decode_json(document) {
        settled(&custom, &decoded.object);
        let mut defaulted = decoded.object.clone();
        custom.default(&mut defaulted);
        custom.validate(&defaulted, None, Vec::new(), &right);
        custom.validate(&defaulted, Some(&decoded.object), Vec::new(), &right);
    }
}

/// A JSON patch of a document.
pub fn json_patch(data: &[u8]) {
    let Some((document, patch)) = two(data) else { return };
    if schema::json_tree(document).is_err() || schema::json_tree(patch).is_err() {
        return;
    }
    let patch = Bytes::copy_from_slice(patch);
    drop(json_patch::odd(&patch));
    if let Ok(text) = json_patch::apply(Bytes::copy_from_slice(document), patch) {
        drop(schema::json_tree(&text));
        assert!(text.len() <= 6 * (data.len() + limits::PATCH_COPIED));
    }
}

/// A strategic and a merge patch of a pod.
pub fn strategic_patch(data: &[u8]) {
    let Some((document, patch)) = two(data) else { return };
    let (Some(pod), Ok((patch, _))) = (kinds().next(), schema::json_tree(patch)) else { return };
    let Ok(document) = pod.decode_json(document) else { return };
    if let Ok(merged) = pod.strategic_merge(&document.object, &patch) {
        drop(pod.decode_value(&merged.into_value()));
        pod.spent_patch(&document.object, &patch);
    }
    if let Value::Object(patch) = patch {
        let mut merged = document.object.clone();
        schema::merge_patch(merged.fields_mut(), patch.clone());
        if let Ok(other) = Object::from_value(Value::Object(patch)) {
            drop(pod.three_way_strategic(&document.object, &other, &merged));
        }
    }
}

/// Selectors of labels and fields: what was understood is printed so that it is understood alike.
pub fn selectors(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(labels) = Labels::parse(text) {
        assert_eq!(Labels::parse(&labels.to_string()).map_err(|e| e.to_string()), Ok(labels.clone()), "{labels}");
        labels.matches(|key| (!key.is_empty()).then_some("1"));
    }
    drop(Fields::parse(text));
}

/// Quantities and times.
pub fn scalars(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(quantity) = Quantity::parse(text) {
        let printed = quantity.to_string();
        assert_eq!(Quantity::parse(&printed).map(|again| again.to_string()).ok(), Some(printed));
        quantity.value();
        quantity.milli_value();
    }
    drop(Quantity::printed(text));
    if let Some(at) = time::parse(text) {
        time::seconds(time::after(at, i64::try_from(text.len()).unwrap_or(0)));
        time::micros(at);
    }
}
