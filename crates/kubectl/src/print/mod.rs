//! How objects are shown.

mod align;
mod formats;
pub mod jsonpath;
pub mod order;
mod table;
mod tabs;

use serde_json::{Map, Value};

pub use align::align;
pub use formats::{omit_managed_fields, show};
pub use schema::go_yaml::yaml;
pub use table::Tables;
pub use tabs::Tabs;

/// Go's `json.MarshalIndent` with four spaces: keys sorted, `<`, `>` and `&` escaped.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(&mut out, value, 0);
    out.push('\n');
    out
}

/// JSON without white space, keys sorted: the form of the last-applied annotation and of `jsonpath`.
pub fn compact(value: &Value) -> String {
    escaped(&sorted(value).to_string())
}

/// The tree with the keys of every object in order.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            Value::Object(keys.into_iter().map(|k| (k.clone(), sorted(&map[k]))).collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn write_json(out: &mut String, value: &Value, depth: usize) {
    let indent = |out: &mut String, depth: usize| out.push_str(&format!("\n{}", "    ".repeat(depth)));
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                indent(out, depth + 1);
                out.push_str(&escaped(&Value::from(key.as_str()).to_string()));
                out.push_str(": ");
                write_json(out, &map[key], depth + 1);
            }
            indent(out, depth);
            out.push('}');
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('[');
            for (i, item) in list.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                indent(out, depth + 1);
                write_json(out, item, depth + 1);
            }
            indent(out, depth);
            out.push(']');
        }
        other => out.push_str(&escaped(&other.to_string())),
    }
}
