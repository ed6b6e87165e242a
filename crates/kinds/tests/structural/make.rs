//! Schemas, objects and definitions by dice.

use serde_json::{Map, Value, json};

use crate::judge::Dice;

/// Schemas like those of well-known projects, one a document.
const SHAPES: &str = include_str!("shapes.yaml");

pub fn shapes() -> Vec<Value> {
    schema::yaml_documents(SHAPES).map(|text| schema::yaml_to_json(text).expect("YAML").0).collect()
}

fn set(map: &mut Value, name: &str, value: impl Into<Value>) {
    map[name] = value.into();
}

const NAMES: [&str; 8] = ["a", "b", "c", "size", "name", "kind", "spec", "x-y"];
const TEXTS: [&str; 12] =
    ["", "a", "b", "abc", "10.0.0.1", "fd00::1", "2026-12-01", "1h30m", "http://a/b", "a@b.c", "YWJj", "zürich<&>"];
const FORMATS: [&str; 26] = [
    "int32", "int64", "float", "double", "date", "date-time", "duration", "uri", "email", "hostname", "ipv4", "ipv6", "cidr", "mac",
    "uuid", "uuid4", "byte", "password", "k8s-short-name", "k8s-long-name", "isbn", "creditcard", "ssn", "hexcolor", "rgbcolor", "odd",
];
const PATTERNS: [&str; 6] = ["^a", "b$", r"^\d+$", "[a-z]{1,3}", r"^[^:]+:\w*$", "(?i)ABC"];

/// A value of any form.
fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth > 2 { 8 } else { 11 }) {
        0 => Value::Null,
        1 => json!(dice.roll(2) == 0),
        2 | 3 => json!(dice.roll(12) as i64 - 3),
        4 => json!([0.5, 1.0, 1.5, -2.0, 1e7, 3.25, 1e300][dice.roll(7)]),
        5 => json!([2147483648_i64, 9007199254740993, -9223372036854775808, 97][dice.roll(4)]),
        6 | 7 => json!(dice.pick(&TEXTS)),
        8 => json!((0..dice.roll(3)).map(|_| value(dice, depth + 1)).collect::<Vec<_>>()),
        9 => json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": dice.pick(&["a", "B/", "c"]), "odd": 1}}),
        _ => {
            let mut map = Map::new();
            for _ in 0..dice.roll(4) {
                map.insert(dice.pick(&NAMES).to_owned(), value(dice, depth + 1));
            }
            Value::Object(map)
        }
    }
}

/// Demands, which may be below `allOf` and the like as well.
fn demands(dice: &mut Dice, schema: &mut Value, kind: &str, depth: usize) {
    for _ in 0..dice.roll(4) {
        let small = dice.roll(5);
        match (dice.roll(6), kind) {
            (0, "string" | "either" | "") => set(schema, "maxLength", small),
            (1, "string" | "either" | "") => set(schema, "minLength", small),
            (2, "string" | "either" | "") => set(schema, "pattern", dice.pick(&PATTERNS)),
            (3, _) => set(schema, "format", dice.pick(&FORMATS)),
            (0, "integer" | "number") => set(schema, "maximum", [3.0, 2.5, 1e10, -1.0][dice.roll(4)]),
            (1, "integer" | "number") => set(schema, "minimum", [0.0, 1.5, -3.0, 3e9][dice.roll(4)]),
            (2, "integer" | "number") => set(schema, "multipleOf", [2.0, 0.5, 3.0, 0.1][dice.roll(4)]),
            (4, "integer" | "number") => {
                set(schema, "exclusiveMaximum", true);
                set(schema, "exclusiveMinimum", dice.roll(2) == 0);
            }
            (0, "array") => set(schema, "maxItems", small),
            (1, "array") => set(schema, "minItems", small),
            (0, "object") => set(schema, "maxProperties", small),
            (1, "object") => set(schema, "minProperties", small),
            (2, "object") => set(schema, "required", json!([dice.pick(&NAMES)])),
            (5, "string" | "integer" | "number") => set(schema, "enum", json!([value(dice, 3), value(dice, 3), "a", 1])),
            _ => {}
        }
    }
    if depth < 3 && dice.roll(6) == 0 {
        let name = dice.pick(&["allOf", "anyOf", "oneOf", "not"]);
        let inner = |dice: &mut Dice| nested(dice, kind, schema_of(schema), depth + 1);
        if name == "not" {
            let inner = inner(dice);
            set(schema, name, inner);
        } else {
            let list: Vec<Value> = (0..1 + dice.roll(3)).map(|_| inner(dice)).collect();
            set(schema, name, json!(list));
        }
    }
}

fn schema_of(schema: &Value) -> Vec<String> {
    schema["properties"].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

fn nested(dice: &mut Dice, kind: &str, fields: Vec<String>, depth: usize) -> Value {
    let mut schema = json!({});
    demands(dice, &mut schema, kind, depth);
    if let (false, 0) = (fields.is_empty(), dice.roll(2)) {
        let name = fields[dice.roll(fields.len())].clone();
        let mut below = json!({});
        demands(dice, &mut below, "string", depth + 1);
        schema["properties"] = json!({name: below});
        schema["required"] = json!([fields[dice.roll(fields.len())]]);
    }
    schema
}

/// A schema of a value.
fn schema(dice: &mut Dice, depth: usize) -> Value {
    let kinds = ["string", "integer", "number", "boolean", "either", "kept", "array", "object", "map", "embedded", "object", "array"];
    let kind = kinds[dice.roll(if depth > 3 { 6 } else { kinds.len() })];
    let mut made = match kind {
        "either" => json!({"x-kubernetes-int-or-string": true}),
        "kept" => json!({"x-kubernetes-preserve-unknown-fields": true}),
        "embedded" => json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}),
        "map" => json!({"type": "object", "additionalProperties": if dice.roll(4) == 0 { json!(dice.roll(3) > 0) } else { schema(dice, depth + 1) }}),
        "array" => json!({"type": "array", "items": schema(dice, depth + 1)}),
        "object" => json!({"type": "object", "properties": properties(dice, depth)}),
        simple => json!({"type": simple}),
    };
    if kind == "either" && dice.roll(3) == 0 {
        made["anyOf"] = json!([{"type": "integer"}, {"type": "string"}]);
    } else {
        demands(dice, &mut made, if kind == "map" || kind == "embedded" { "object" } else { kind }, depth);
    }
    if dice.roll(5) == 0 {
        made["nullable"] = json!(true);
    }
    if dice.roll(5) == 0 {
        made["default"] = fitting(dice, &made, 1);
    }
    if kind == "object" && dice.roll(5) == 0 {
        made["x-kubernetes-preserve-unknown-fields"] = json!(true);
    }
    if kind == "array" && dice.roll(2) == 0 {
        list_type(dice, &mut made);
    }
    made
}

fn list_type(dice: &mut Dice, list: &mut Value) {
    let keys = schema_of(&list["items"]);
    let word = dice.pick(&["atomic", "set", "map", "map"]);
    if word == "map" && !keys.is_empty() {
        list["x-kubernetes-list-map-keys"] = json!(keys[..1 + dice.roll(keys.len().min(2))]);
    }
    list["x-kubernetes-list-type"] = json!(word);
}

fn properties(dice: &mut Dice, depth: usize) -> Value {
    let mut map = Map::new();
    for _ in 0..1 + dice.roll(4) {
        map.insert(dice.pick(&NAMES).to_owned(), schema(dice, depth + 1));
    }
    Value::Object(map)
}

/// A schema of a kind.
pub fn root(dice: &mut Dice) -> Value {
    let mut made = json!({"type": "object", "properties": {}});
    for name in ["spec", "status", "data"] {
        made["properties"][name] = schema(dice, 0);
    }
    if dice.roll(8) == 0 {
        made["x-kubernetes-preserve-unknown-fields"] = json!(true);
    }
    if dice.roll(6) == 0 {
        made["properties"]["metadata"] = json!({"type": "object", "properties": {"name": {"type": "string", "pattern": "^a"}}});
    }
    made
}

/// A value as the schema wants it, nearly always.
fn fitting(dice: &mut Dice, schema: &Value, depth: usize) -> Value {
    if dice.roll(14) == 0 {
        return value(dice, depth);
    }
    if let Some(Value::Array(values)) = schema.get("enum").filter(|_| dice.roll(3) > 0) {
        return values[dice.roll(values.len())].clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!(dice.pick(&TEXTS)),
        Some("integer") => json!(dice.roll(8) as i64 - 2),
        Some("number") => json!([0.5, 2.0, -1.25, 3.0][dice.roll(4)]),
        Some("boolean") => json!(dice.roll(2) == 0),
        Some("array") => {
            let mut list: Vec<Value> = (0..dice.roll(4)).map(|_| fitting(dice, &schema["items"], depth + 1)).collect();
            if let (Some(first), 0) = (list.first().cloned(), dice.roll(3)) {
                list.push(first);
            }
            json!(list)
        }
        Some("object") if depth < 8 => fitting_map(dice, schema, depth),
        _ => value(dice, depth),
    }
}

fn fitting_map(dice: &mut Dice, schema: &Value, depth: usize) -> Value {
    let mut map = Map::new();
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        if dice.roll(4) > 0 {
            map.insert(name.clone(), fitting(dice, below, depth + 1));
        }
    }
    for _ in 0..dice.roll(3).saturating_sub(usize::from(!schema["additionalProperties"].is_object())) {
        map.insert(dice.pick(&NAMES).to_owned(), fitting(dice, &schema["additionalProperties"], depth + 1));
    }
    if schema["x-kubernetes-embedded-resource"] == true && dice.roll(5) > 0 {
        map.insert("apiVersion".to_owned(), json!(dice.pick(&["v1", "apps/v1", "", "a/b/c"])));
        map.insert("kind".to_owned(), json!(dice.pick(&["Pod", "pod", "", "A_b"])));
        map.insert("metadata".to_owned(), metadata(dice));
    }
    Value::Object(map)
}

fn metadata(dice: &mut Dice) -> Value {
    let mut made = json!({"name": dice.pick(&["a", "abc", "a/b", ""])});
    match dice.roll(9) {
        0 => made["labels"] = json!({"a": "b", "c d": "e"}),
        1 => made["odd"] = json!({"x": 1}),
        2 => made["creationTimestamp"] = Value::Null,
        3 => made["creationTimestamp"] = json!("2026-01-01T10:00:00+02:00"),
        4 => made["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "A", "name": "b", "uid": "c", "odd": true}]),
        5 => made["finalizers"] = json!(["a/b", "c"]),
        6 => made["namespace"] = json!(dice.pick(&["n", "N"])),
        _ => {}
    }
    made
}

/// An object as text: something may be there twice in it.
fn object(dice: &mut Dice, schema: &Value) -> String {
    let mut made = fitting_map(dice, schema, 0);
    made["apiVersion"] = json!("example.com/v1");
    made["kind"] = json!("Thing");
    made["metadata"] = metadata(dice);
    if dice.roll(30) == 0 {
        made["metadata"]["name"] = json!(5);
    }
    if dice.roll(3) == 0 {
        // The server has looked for the kind before.
        let name = dice.pick(&NAMES);
        made[if name == "kind" { "odd" } else { name }] = value(dice, 0);
    }
    let mut text = made.to_string();
    if dice.roll(6) == 0 {
        let name = dice.pick(&["spec", "data", "odd", "kind"]);
        let again = if name == "kind" { json!("Thing") } else { value(dice, 1) };
        text.insert_str(1, &format!("\"{name}\":{again},"));
    }
    text
}

/// A schema, an object of it and perhaps what it was before.
pub fn question(dice: &mut Dice, schema: &Value) -> String {
    let new = object(dice, schema);
    let old = match dice.roll(4) {
        0 => old_of(dice, &new, schema),
        _ => String::new(),
    };
    json!({"Schema": schema, "Object": new, "Old": old}).to_string()
}

/// An object with right metadata; what is in it is changed now and then.
pub fn stored(dice: &mut Dice, schema: &Value) -> Value {
    let mut made = fitting_map(dice, schema, 0);
    plain_metadata(&mut made);
    named(&mut made);
    made
}

fn named(made: &mut Value) {
    made["apiVersion"] = json!("example.com/v1");
    made["kind"] = json!("Thing");
    made["metadata"] = json!({"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1"});
}

/// The object with other values in some places.
pub fn changed(dice: &mut Dice, old: &Value, schema: &Value) -> Value {
    let mut new = old.clone();
    for name in ["spec", "status", "data"] {
        if dice.roll(2) == 0
            && let Some(value) = new.get_mut(name)
        {
            mutate(dice, value, &schema["properties"][name], 1);
            plain_metadata(value);
        }
    }
    new
}

fn mutate(dice: &mut Dice, value: &mut Value, schema: &Value, depth: usize) {
    if dice.roll(4) == 0 {
        *value = fitting(dice, schema, depth);
        return;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            let name = map.keys().nth(dice.roll(map.len())).cloned().expect("one");
            let below = schema["properties"].get(&name).unwrap_or(&schema["additionalProperties"]);
            mutate(dice, &mut map[&name], below, depth + 1);
        }
        Value::Array(list) if !list.is_empty() => {
            let at = dice.roll(list.len());
            match dice.roll(3) {
                0 => list.reverse(),
                _ => mutate(dice, &mut list[at], &schema["items"], depth + 1),
            }
        }
        value => *value = fitting(dice, schema, depth),
    }
}

/// The same object but for one part, and right metadata.
fn old_of(dice: &mut Dice, new: &str, schema: &Value) -> String {
    let mut old: Value = serde_json::from_str(new).expect("JSON");
    old["metadata"] = json!({"name": "a"});
    for name in ["spec", "status", "data"] {
        if let Some(below) = schema["properties"].get(name).filter(|_| dice.roll(3) == 0) {
            old[name] = fitting(dice, below, 1);
        }
    }
    plain_metadata(&mut old);
    old.to_string()
}

/// Objects within have metadata that can be read.
fn plain_metadata(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                match &**name {
                    "metadata" => *value = json!({"name": "a"}),
                    "kind" | "apiVersion" if !value.is_string() => *value = json!("v1"),
                    _ => plain_metadata(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(plain_metadata),
        _ => {}
    }
}
