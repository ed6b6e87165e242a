//! Defaults that are written in the schema.

use serde_json::{Map, Value};

use crate::model::{Kind, Shape, Type};

/// Sets every default of `t` that is missing in `map`, at every depth.
pub fn apply(t: &Type, map: &mut Map<String, Value>) {
    for field in &t.fields {
        let value = map.get_mut(field.name.as_ref()).filter(|v| !v.is_null());
        match (value, &field.default) {
            (Some(value), _) => below(&field.shape, value),
            (None, Some(default)) => drop(map.insert(field.name.clone().into_owned(), default.clone())),
            (None, None) => {}
        }
    }
}

fn below(shape: &Shape, value: &mut Value) {
    match (&shape.kind, value) {
        (Kind::Struct(t), Value::Object(map)) => apply(t.get(), map),
        (Kind::List { item, .. }, Value::Array(list)) => list.iter_mut().for_each(|v| below(item, v)),
        (Kind::Map { value: shape, .. }, Value::Object(map)) => map.values_mut().for_each(|v| below(shape, v)),
        _ => {}
    }
}
