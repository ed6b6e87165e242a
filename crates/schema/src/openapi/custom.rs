//! Custom resources as they are published: their own schema, and what every object has (upstream:
//! `apiextensions-apiserver/pkg/controller/openapi/builder`). Version 2 of the documents has less to say it with.

use meta::Gvk;
use serde_json::{Map, Value, json};

use super::Form;
use super::definitions::gvk_value;

/// The fields that every object has, as they are published: of the object itself, and of one within it.
pub struct Common {
    pub own: Map<String, Value>,
    pub embedded: Map<String, Value>,
}

/// The name of a kind's definition: `com.example.v1.Thing`.
pub fn name(gvk: &Gvk) -> String {
    let mut group: Vec<&str> = gvk.group.split('.').collect();
    group.reverse();
    format!("{}.{}.{}", group.join("."), gvk.version, gvk.kind)
}

/// The definition of a kind.
pub fn definition(form: Form, gvk: &Gvk, schema: &Map<String, Value>, common: &Common) -> Value {
    let closed = form == Form::V3 || !flag(schema, KEPT);
    let mut made = Map::new();
    if closed {
        made = place(form, schema, common);
        properties(&mut made).extend(common.own.clone());
    } else {
        made.insert("type".to_owned(), "object".into());
    }
    made.insert("x-kubernetes-group-version-kind".to_owned(), json!([gvk_value(gvk)]));
    Value::Object(made)
}

const KEPT: &str = "x-kubernetes-preserve-unknown-fields";
const EITHER: &str = "x-kubernetes-int-or-string";
/// Demands that are not a part of the structure.
const JUNCTORS: [&str; 4] = ["allOf", "anyOf", "oneOf", "not"];

fn flag(schema: &Map<String, Value>, name: &str) -> bool {
    schema.get(name).is_some_and(|value| *value == true)
}

fn properties(of: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let slot = of.entry("properties").or_insert_with(|| json!({}));
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("properties are a map"),
    }
}

/// A schema of the structure.
fn place(form: Form, schema: &Map<String, Value>, common: &Common) -> Map<String, Value> {
    let below = |value: &Value| value.as_object().map_or_else(|| value.clone(), |schema| Value::Object(place(form, schema, common)));
    let mut made = Map::new();
    for (name, value) in schema {
        let value = match &**name {
            "items" | "additionalProperties" => below(value),
            "properties" => value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), below(value))).collect(),
            junctor if JUNCTORS.contains(&junctor) => nested(value),
            _ => plain(value),
        };
        made.insert(name.clone(), value);
    }
    match form {
        Form::V3 => unfold(&mut made),
        Form::V2 => reduce(&mut made, schema),
    }
    if flag(schema, "x-kubernetes-embedded-resource") && (form == Form::V3 || !flag(schema, KEPT)) {
        properties(&mut made).extend(common.embedded.clone());
        let required = made.entry("required").or_insert_with(|| json!([]));
        let missing: Vec<Value> =
            ["kind", "apiVersion"].iter().map(|name| json!(name)).filter(|name| required.as_array().is_some_and(|all| !all.contains(name))).collect();
        required.as_array_mut().into_iter().for_each(|all| all.extend(missing.clone()));
    }
    made
}

/// Demands; that there are no other fields is none of them.
fn nested(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(nested).collect(),
        Value::Object(schema) => {
            let part = |(name, value): (&String, &Value)| {
                let value = match &**name {
                    "items" => nested(value),
                    "properties" => value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), nested(value))).collect(),
                    junctor if JUNCTORS.contains(&junctor) => nested(value),
                    _ => plain(value),
                };
                (name.clone(), value)
            };
            Value::Object(schema.iter().filter(|(name, _)| *name != "additionalProperties").map(part).collect())
        }
        other => other.clone(),
    }
}

/// A number or a text is said to be one in words that every reader has.
fn unfold(made: &mut Map<String, Value>) {
    let pair = json!([{"type": "integer"}, {"type": "string"}]);
    let first = made.get("allOf").and_then(|all| all.get(0)).and_then(|first| first.get("anyOf"));
    if !flag(made, EITHER) || made.get("anyOf") == Some(&pair) || first == Some(&pair) {
        return;
    }
    if !made.contains_key("anyOf") {
        made.insert("anyOf".to_owned(), pair);
        return;
    }
    let all = made.entry("allOf").or_insert_with(|| json!([]));
    all.as_array_mut().into_iter().for_each(|all| all.insert(0, json!({"anyOf": pair})));
}

/// Version 2 has no null, no alternatives, and nothing that is open.
fn reduce(made: &mut Map<String, Value>, schema: &Map<String, Value>) {
    let mut drop = |names: &[&str]| names.iter().for_each(|name| std::mem::drop(made.remove(*name)));
    drop(&JUNCTORS);
    drop(&["default"]);
    let (nullable, kept) = (flag(schema, "nullable"), flag(schema, KEPT));
    if nullable {
        drop(&["nullable", "type", "items", "properties"]);
    }
    if kept {
        drop(&["items", "properties"]);
    }
    let kind = made.get("type").and_then(Value::as_str).unwrap_or("");
    if kind == "array" && !made.contains_key("items") || kind == "object" && kept {
        made.remove("type");
    }
    let null = |below: Option<&Value>| below.and_then(Value::as_object).is_some_and(|below| flag(below, "nullable"));
    if null(schema.get("additionalProperties")) {
        made.remove("required");
    }
    let known = schema.get("properties").filter(|_| made.contains_key("properties"));
    let Some(Value::Array(required)) = made.get_mut("required") else { return };
    required.retain(|name| !null(known.and_then(|known| known.get(name.as_str()?))));
    if required.is_empty() {
        made.remove("required");
    }
}

/// Whole doubles are printed as integers.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let text = crate::encode::plain(value);
            serde_json::from_slice(&text).unwrap_or_else(|_| value.clone())
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}
