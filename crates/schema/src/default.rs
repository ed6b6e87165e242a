//! Defaults that are written in the schema.

use serde_json::{Map, Value};

use crate::model::{Kind, Others, Shape, Type};

/// Sets every default of `t` that is missing in `map`, at every depth, also within defaults. Null is a value where a
/// structural schema says so.
pub fn apply(t: &Type, map: &mut Map<String, Value>) {
    for field in &t.fields {
        if let Some(default) = &field.default
            && map.get(field.name.as_ref()).is_none_or(|value| value.is_null() && !is_value(&field.shape))
        {
            map.insert(field.name.clone().into_owned(), default.clone());
        }
        if let Some(value) = map.get_mut(field.name.as_ref()) {
            below(&field.shape, value);
        }
    }
    if let Others::Each(shape) = &t.others {
        map.iter_mut().filter(|(key, _)| t.field(key).is_none()).for_each(|(_, value)| element(shape, value));
    }
}

/// Whether null is a value.
fn is_value(shape: &Shape) -> bool {
    shape.node.as_ref().is_some_and(|node| node.nullable)
}

fn element(shape: &Shape, value: &mut Value) {
    let default = shape.node.as_ref().and_then(|node| node.default.as_ref());
    if let Some(default) = default.filter(|_| value.is_null() && !is_value(shape)) {
        *value = default.clone();
    }
    below(shape, value);
}

fn below(shape: &Shape, value: &mut Value) {
    match (&shape.node, &shape.kind, value) {
        (Some(node), _, Value::Object(map)) => apply(&node.fields, map),
        (Some(node), _, Value::Array(list)) => list.iter_mut().for_each(|v| element(node.items(), v)),
        (None, Kind::Struct(t), Value::Object(map)) => apply(t.get(), map),
        (None, Kind::List { item, .. }, Value::Array(list)) => list.iter_mut().for_each(|v| below(item, v)),
        (None, Kind::Map { value: shape, .. }, Value::Object(map)) => map.values_mut().for_each(|v| below(shape, v)),
        _ => {}
    }
}
