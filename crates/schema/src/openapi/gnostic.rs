//! The v2 document in protobuf, as `openapi.v2.Document` of gnostic: the form that kubectl asks for.
//!
//! It has the definitions, by which clients check what they send; the paths are in the JSON form alone.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::proto::wire::Backward;

/// Writes the document from its end to its beginning.
pub(super) fn document(definitions: &Map<String, Value>) -> Bytes {
    let mut out = Backward::default();
    let mark = out.mark();
    named(&mut out, 1, definitions);
    out.close(9, mark);
    out.bytes(8, &[]);
    let mark = out.mark();
    out.bytes(2, b"unversioned");
    out.bytes(1, b"Kubernetes");
    out.close(2, mark);
    out.bytes(1, b"2.0");
    Bytes::from(out.finish())
}

/// A map of schemas as repeated `NamedSchema`.
fn named(out: &mut Backward, number: u32, schemas: &Map<String, Value>) {
    for (name, value) in schemas.iter().rev() {
        let mark = out.mark();
        message(out, 2, value);
        out.bytes(1, name.as_bytes());
        out.close(number, mark);
    }
}

fn message(out: &mut Backward, number: u32, value: &Value) {
    let mark = out.mark();
    schema(out, value);
    out.close(number, mark);
}

/// The fields of a `Schema`, the highest number first.
fn schema(out: &mut Backward, value: &Value) {
    let Value::Object(fields) = value else { return };
    for (name, extension) in fields.iter().rev().filter(|(name, _)| name.starts_with("x-")) {
        let outer = out.mark();
        let inner = out.mark();
        // `Any`: JSON is YAML too.
        out.bytes(2, extension.to_string().as_bytes());
        out.close(2, inner);
        out.bytes(1, name.as_bytes());
        out.close(31, outer);
    }
    if let Some(Value::Object(properties)) = fields.get("properties") {
        let mark = out.mark();
        named(out, 1, properties);
        out.close(25, mark);
    }
    if let Some(Value::Array(all)) = fields.get("allOf") {
        all.iter().rev().for_each(|part| message(out, 24, part));
    }
    if let Some(items) = fields.get("items") {
        let mark = out.mark();
        message(out, 1, items);
        out.close(23, mark);
    }
    if let Some(kind) = fields.get("type").and_then(Value::as_str) {
        let mark = out.mark();
        out.bytes(1, kind.as_bytes());
        out.close(22, mark);
    }
    if let Some(values) = fields.get("additionalProperties") {
        let mark = out.mark();
        match values {
            Value::Bool(any) => out.integer(2, i64::from(*any)),
            schema => message(out, 1, schema),
        }
        out.close(21, mark);
    }
    for value in fields.get("enum").and_then(Value::as_array).into_iter().flatten().rev() {
        let mark = out.mark();
        out.bytes(2, value.to_string().as_bytes());
        out.close(20, mark);
    }
    for required in fields.get("required").and_then(Value::as_array).into_iter().flatten().rev() {
        out.bytes(19, required.as_str().unwrap_or_default().as_bytes());
    }
    for (number, name) in [(4, "description"), (2, "format"), (1, "$ref")] {
        if let Some(text) = fields.get(name).and_then(Value::as_str) {
            out.bytes(number, text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::document;
    use crate::proto::wire::{Reader, Wire};

    /// The first field with a number.
    fn field(bytes: &[u8], wanted: u32) -> &[u8] {
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.field().expect("is protobuf") {
            if let (true, Wire::Bytes(inner)) = (number == wanted, value) {
                return inner;
            }
        }
        panic!("no field {wanted}");
    }

    #[test]
    fn a_definition_has_its_type_and_its_kinds() {
        let definitions = json!({"io.k8s.Thing": {
            "type": "object", "required": ["name"], "x-kubernetes-group-version-kind": [{"kind": "Thing"}],
            "properties": {"name": {"type": "string", "enum": ["a"]}, "other": {"$ref": "#/definitions/x"}},
        }});
        let Value::Object(definitions) = definitions else { unreachable!("it is an object") };
        let bytes = document(&definitions);
        assert_eq!(field(&bytes, 1), b"2.0");
        let named = field(field(&bytes, 9), 1).to_vec();
        assert_eq!(field(&named, 1), b"io.k8s.Thing");
        let thing = field(&named, 2);
        assert_eq!(field(field(thing, 22), 1), b"object");
        assert_eq!(field(thing, 19), b"name");
        assert_eq!(field(field(field(thing, 25), 1), 1), b"name");
        assert_eq!(field(field(field(field(field(thing, 25), 1), 2), 20), 2), b"\"a\"");
        assert_eq!(field(field(thing, 31), 1), b"x-kubernetes-group-version-kind");
    }
}
