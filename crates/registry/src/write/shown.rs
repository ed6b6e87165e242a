//! How a refusal shows a patch, or what came out of it: clients see the text, so it is upstream's.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// The text of a document after a merge patch. Maps that the patch went through have their fields sorted, everything
/// else is as it was written (upstream: `evanphx/json-patch`). `None` if one of them is no object.
pub(super) fn merged(document: &str, patch: &str) -> Option<String> {
    Some(text(&merge(fields(document)?, patch)?))
}

/// A part that is as it was written, or a map that was opened.
enum Part {
    Raw(String),
    Opened(BTreeMap<String, Part>),
    /// A list whose items were opened.
    Items(Vec<Part>),
}

fn fields(text: &str) -> Option<BTreeMap<String, Part>> {
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
    Some(fields.into_iter().map(|(name, raw)| (name, Part::Raw(Box::<str>::from(raw).into()))).collect())
}

fn merge(mut into: BTreeMap<String, Part>, patch: &str) -> Option<BTreeMap<String, Part>> {
    let patch: BTreeMap<String, Box<RawValue>> = serde_json::from_str(patch).ok()?;
    for (name, value) in patch {
        let value = value.get();
        if value == "null" {
            into.remove(&name);
            continue;
        }
        let opened = match into.remove(&name) {
            Some(Part::Opened(fields)) => Some(fields),
            Some(Part::Raw(raw)) => fields(&raw),
            Some(Part::Items(_)) | None => None,
        };
        let part = match opened {
            Some(fields) if value.starts_with('{') => Part::Opened(merge(fields, value)?),
            _ => pruned(value),
        };
        into.insert(name, part);
    }
    Some(into)
}

/// A new part without the nulls in it.
fn pruned(value: &str) -> Part {
    let raw = || Part::Raw(value.to_owned());
    match value.as_bytes().first() {
        Some(b'{') => merge(BTreeMap::new(), value).map_or_else(raw, Part::Opened),
        Some(b'[') => {
            let items: Result<Vec<Box<RawValue>>, _> = serde_json::from_str(value);
            items.map_or_else(|_| raw(), |items| Part::Items(items.iter().map(|item| pruned(item.get())).collect()))
        }
        _ => raw(),
    }
}

fn text(fields: &BTreeMap<String, Part>) -> String {
    let shown = fields.iter().map(|(name, part)| format!("{}:{}", Value::from(name.as_str()), part_text(part)));
    format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
}

fn part_text(part: &Part) -> String {
    match part {
        Part::Raw(raw) => raw.clone(),
        Part::Opened(fields) => text(fields),
        Part::Items(items) => format!("[{}]", items.iter().map(part_text).collect::<Vec<_>>().join(",")),
    }
}

/// A tree as Go prints it with `%v` and `%+v`.
pub(crate) fn go_tree(tree: &Value) -> String {
    match tree {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() => number.to_string(),
        Value::Number(number) => go_double(number.as_f64().unwrap_or_default()),
        Value::Array(items) => format!("[{}]", items.iter().map(go_tree).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}:{}", go_tree(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
    }
}

/// A tree as Go prints it with `%#v`.
pub(crate) fn go_syntax(tree: &Value) -> String {
    match tree {
        Value::Null => "interface {}(nil)".to_owned(),
        // The escapes that texts of objects have are those of JSON.
        Value::String(_) => tree.to_string(),
        Value::Array(items) => format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name:?}:{}", go_syntax(value)));
            format!("map[string]interface {{}}{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        scalar => go_tree(scalar),
    }
}

/// A double with as few digits as tell it apart; with an exponent when it is large or very small (`%g`).
fn go_double(number: f64) -> String {
    let plain = number == 0.0 || (1e-4..1e6).contains(&number.abs());
    if plain {
        return number.to_string();
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
            format!("{digits}e{sign}{size:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_sorts_only_what_it_goes_through() {
        let document = r#"{"kind":"A","metadata":{"name":"a","labels":{"z":"1","b":"2"}},"data":{"z":"1","a":"2"}}"#;
        let patch = r#"{"metadata":{"labels":{"b":null,"c":"3"}},"new":{"x":null,"y":[{"q":1,"p":2}]}}"#;
        let want = r#"{"data":{"z":"1","a":"2"},"kind":"A","metadata":{"labels":{"c":"3","z":"1"},"name":"a"},"new":{"y":[{"p":2,"q":1}]}}"#;
        assert_eq!(merged(document, patch).as_deref(), Some(want));
        assert_eq!(merged("[]", patch), None);
    }

    #[test]
    fn trees_look_like_maps_of_go() {
        let tree = json!({"b": [1, "x", null], "a": {"c": 1.5, "d": 1e30, "e": true}});
        assert_eq!(go_tree(&tree), "map[a:map[c:1.5 d:1e+30 e:true] b:[1 x <nil>]]");
        assert_eq!(go_tree(&json!([u64::MAX, 999999.5])), "[1.8446744073709552e+19 999999.5]");
    }
}
