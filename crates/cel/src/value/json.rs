//! Views of JSON trees: nothing is copied until an expression asks for it.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Entries, Items, List, Map, Outcome, Str, Value};

/// A list of a tree.
#[derive(Debug)]
struct Array<'a>(&'a [Json]);

impl<'a> Items<'a> for Array<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn get(&self, index: usize) -> Option<Outcome<'a>> {
        self.0.get(index).map(|item| Ok(view(item)))
    }
    fn tree(&self) -> Option<&'a [Json]> {
        Some(self.0)
    }
}

/// A map of a tree.
#[derive(Debug)]
struct Object<'a>(&'a serde_json::Map<String, Json>);

impl<'a> Entries<'a> for Object<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn get(&self, key: &str) -> Option<Outcome<'a>> {
        self.0.get(key).map(|value| Ok(view(value)))
    }
    fn keys(&self) -> Vec<Str<'a>> {
        self.0.keys().map(|key| Str::Lent(key)).collect()
    }
    fn tree(&self) -> Option<&'a serde_json::Map<String, Json>> {
        Some(self.0)
    }
}

/// A tree without a schema: whole numbers are ints, all others doubles.
pub fn view(tree: &Json) -> Value<'_> {
    match tree {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (_, Some(value)) => Value::Uint(value),
            _ => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::lent(text),
        Json::Array(items) => Value::List(List::Tree(Arc::new(Array(items)))),
        Json::Object(entries) => Value::Map(Map::Tree(Arc::new(Object(entries)))),
    }
}
