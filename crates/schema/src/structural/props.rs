//! A `JSONSchemaProps` as a tree: its parts, and walks over all schemas in it.

use serde_json::{Map, Value};

/// A schema.
pub type Props = Map<String, Value>;

/// Fields that structural schemas have not.
const UNSUPPORTED: [&str; 7] = ["id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"];

/// What is said of a schema that cannot be read as a structural one, in upstream's words (`NewStructural`).
pub fn supported(schema: &Props) -> Result<(), String> {
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        return Err("internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".to_owned());
    }
    let found = UNSUPPORTED.iter().find(|name| schema.get(**name).is_some_and(|value| !is_empty(name, value)));
    match found {
        Some(name) => Err({
            let name = if *name == "$schema" { "schema" } else { name };
            format!("OpenAPIV3Schema '{name}' is not supported")
        }),
        None => Ok(()),
    }
}

fn is_empty(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        // One that is there and empty is something.
        Value::Object(map) => map.is_empty() && name != "additionalItems",
        _ => false,
    }
}

/// The text of a field; nothing when it is absent.
pub fn text<'s>(schema: &'s Props, name: &str) -> &'s str {
    schema.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The flag of a field; not set when it is absent.
pub fn flag(schema: &Props, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The schema in a field, if it is one.
pub fn schema<'s>(schema: &'s Props, name: &str) -> Option<&'s Props> {
    schema.get(name).and_then(Value::as_object)
}

/// The schemas in a list.
pub fn list<'s>(schema: &'s Props, name: &str) -> impl Iterator<Item = &'s Props> + use<'s> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// The schemas in a map, by their keys.
pub fn map<'s>(schema: &'s Props, name: &str) -> impl Iterator<Item = (&'s String, &'s Props)> + use<'s> {
    let entries = schema.get(name).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key, value.as_object()?)))
}

/// The texts in a list.
pub fn texts<'s>(schema: &'s Props, name: &str) -> impl Iterator<Item = &'s str> + use<'s> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A value that is there, and not null.
pub fn value<'s>(schema: &'s Props, name: &str) -> Option<&'s Value> {
    schema.get(name).filter(|value| !value.is_null())
}

/// Whether something holds for a schema, or for any in it.
pub fn any(of: &Props, holds: &mut dyn FnMut(&Props) -> bool) -> bool {
    if holds(of) {
        return true;
    }
    let single = ["items", "not", "additionalProperties", "additionalItems"];
    single.iter().any(|name| schema(of, name).is_some_and(|below| any(below, holds)))
        || ["items", "allOf", "anyOf", "oneOf"].iter().any(|name| list(of, name).any(|below| any(below, holds)))
        || ["properties", "patternProperties", "definitions", "dependencies"]
            .iter()
            .any(|name| map(of, name).any(|(_, below)| any(below, holds)))
}
