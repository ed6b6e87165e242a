//! Reading objects: what is absent reads as empty, as in Go's structs.

use serde_json::{Map, Value};

/// A text, empty if there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// A text, or what stands for its absence.
pub fn text_or<'v>(value: &'v Value, absent: &'v str) -> &'v str {
    Some(text(value)).filter(|t| !t.is_empty()).unwrap_or(absent)
}

/// A whole number, zero if there is none.
pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// A truth value, false if there is none.
pub fn truth(value: &Value) -> bool {
    value.as_bool().unwrap_or(false)
}

/// `True` or `False`.
pub fn capital(value: &Value) -> &'static str {
    if truth(value) { "True" } else { "False" }
}

/// The elements of a list.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a list.
pub fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}

/// The entries of a map in the order of their keys.
pub fn entries(value: &Value) -> Vec<(&str, &Value)> {
    let mut all: Vec<(&str, &Value)> = value.as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), v)).collect();
    all.sort_by_key(|(key, _)| *key);
    all
}

/// A number or a text (`IntOrString`).
pub fn either(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "0".to_owned(),
        other => other.to_string(),
    }
}

/// A list of texts as Go's `%v` prints it.
pub fn bracketed(value: &Value) -> String {
    format!("[{}]", texts(value).join(" "))
}

/// `Kind/name` of the controller that owns an object.
pub fn controller(object: &Value) -> Option<String> {
    let owner = owner(object)?;
    Some(format!("{}/{}", text(&owner["kind"]), text(&owner["name"])))
}

/// The reference to the controller that owns an object.
pub fn owner(object: &Value) -> Option<&Value> {
    list(&object["metadata"]["ownerReferences"]).iter().find(|o| truth(&o["controller"]))
}

/// Whether a map has no entries.
pub fn is_empty(value: &Value) -> bool {
    value.as_object().is_none_or(Map::is_empty)
}

/// The first text that is not empty.
pub fn first<'v>(all: &[&'v str]) -> &'v str {
    all.iter().find(|t| !t.is_empty()).copied().unwrap_or("")
}
