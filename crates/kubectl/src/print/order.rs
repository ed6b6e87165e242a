//! JSON with fields in the order of Go's structs: so upstream prints what it has made itself, or read into a type.

use meta::{Gvk, Object};
use schema::Schema;
use serde_json::Value;

/// An object of a kind that has a type; others in the order of their fields' names.
pub fn typed(object: &Value) -> String {
    let text = |field: &str| object[field].as_str().unwrap_or("");
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let encoded = Schema::builtin(&Gvk::new(group, version, text("kind"))).and_then(|schema| {
        let object = Object::from_value(object.clone()).ok()?;
        String::from_utf8(schema.encode(&object, false).0.to_vec()).ok()
    });
    encoded.map_or_else(|| super::json(object), |text| indented(&text))
}

/// A list: it has a type, and what is in it has none.
pub fn list(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(super::compact).collect();
    indented(&format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{{}},"items":[{}]}}"#, items.join(",")))
}

/// JSON without white space, with four spaces for each level and a line break at the end (`json.MarshalIndent`).
fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut escaped, mut last) = (0_usize, false, false, ' ');
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    for c in text.trim_end().chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            out.push(c);
            last = c;
            continue;
        }
        let is_open = matches!(last, '{' | '[');
        match c {
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !is_open {
                    line(&mut out, depth);
                }
            }
            _ if is_open => line(&mut out, depth),
            _ => {}
        }
        out.push(c);
        match c {
            '{' | '[' => depth += 1,
            ',' => line(&mut out, depth),
            ':' => out.push(' '),
            '"' => in_string = true,
            _ => {}
        }
        // A string ends with a quote: what follows it never opens.
        last = c;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_in_the_order_of_the_type() {
        let object = json!({"apiVersion": "v1", "data": {"b": "{[\"\\,:", "a": "<"}, "kind": "ConfigMap", "metadata": {"name": "x"}});
        let text = "{\n    \"kind\": \"ConfigMap\",\n    \"apiVersion\": \"v1\",\n    \"metadata\": {\n        \"name\": \"x\"\n    },\n    \
            \"data\": {\n        \"a\": \"\\u003c\",\n        \"b\": \"{[\\\"\\\\,:\"\n    }\n}\n";
        assert_eq!(typed(&object), text);
        let custom = json!({"kind": "A", "apiVersion": "example.com/v1", "b": [], "a": {}});
        assert_eq!(typed(&custom), super::super::json(&custom));
        assert_eq!(list(&[json!({"b": 1, "a": [2, {}]})]), "{\n    \"kind\": \"List\",\n    \"apiVersion\": \"v1\",\n    \
            \"metadata\": {},\n    \"items\": [\n        {\n            \"a\": [\n                2,\n                {}\n            ],\n            \
            \"b\": 1\n        }\n    ]\n}\n");
    }
}
