//! From a tree to protobuf. What is no pointer in Go is always written, also when it is zero.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::plan::Node;
use super::wire::Backward;
use crate::decode::Instant;
use crate::model::{Field, Kind, Shape, Type, TypeRef};

/// Writes the fields of a message.
pub fn structure(out: &mut Backward, plan: &[Node], t: &Type, map: Option<&Map<String, Value>>) {
    for node in plan.iter().rev() {
        match node {
            Node::Inline(number, inner) => {
                let mark = out.mark();
                structure(out, inner, t, map);
                out.close(*number, mark);
            }
            Node::Field(number, index) => {
                let field = &t.fields[*index];
                let value = map.and_then(|m| m.get(field.name.as_ref())).filter(|v| !v.is_null());
                write_field(out, *number, field, value);
            }
        }
    }
}

fn write_field(out: &mut Backward, number: u32, field: &Field, value: Option<&Value>) {
    match (&field.shape.kind, value) {
        (_, None) if field.pointer => {}
        (Kind::List { item, wrapped: false }, value) => {
            for element in value.and_then(Value::as_array).into_iter().flatten().rev() {
                write_value(out, number, item, Some(element));
            }
        }
        (Kind::Map { value: shape, .. }, value) => {
            for (key, value) in value.and_then(Value::as_object).into_iter().flatten().rev() {
                let mark = out.mark();
                write_value(out, 2, shape, Some(value));
                out.bytes(1, key.as_bytes());
                out.close(number, mark);
            }
        }
        (_, value) => write_value(out, number, &field.shape, value),
    }
}

fn write_value(out: &mut Backward, number: u32, shape: &Shape, value: Option<&Value>) {
    match &shape.kind {
        Kind::String => out.bytes(number, text(value).as_bytes()),
        Kind::Bool => out.integer(number, i64::from(value.and_then(Value::as_bool).unwrap_or(false))),
        Kind::Int32 | Kind::Int64 | Kind::Int => out.integer(number, value.and_then(Value::as_i64).unwrap_or(0)),
        Kind::Float => out.double(number, value.and_then(Value::as_f64).unwrap_or(0.0)),
        Kind::Bytes => {
            if let Some(text) = value.and_then(Value::as_str) {
                out.bytes(number, &STANDARD.decode(text).unwrap_or_default());
            }
        }
        Kind::List { item, wrapped: true } if value.is_some() => {
            let mark = out.mark();
            for element in value.and_then(Value::as_array).into_iter().flatten().rev() {
                write_value(out, 1, item, Some(element));
            }
            out.close(number, mark);
        }
        Kind::List { .. } | Kind::Map { .. } => {}
        _ => {
            let mark = out.mark();
            write_message(out, shape, value);
            out.close(number, mark);
        }
    }
}

/// The content of a value that is a message in protobuf.
fn write_message(out: &mut Backward, shape: &Shape, value: Option<&Value>) {
    match &shape.kind {
        Kind::Struct(t) => {
            let t = t.get();
            structure(out, t.plan(), t, value.and_then(Value::as_object));
        }
        Kind::Time | Kind::MicroTime => {
            if let Some(at) = value.and_then(Value::as_str).and_then(Instant::read) {
                let nanos = if matches!(shape.kind, Kind::Time) { 0 } else { at.nanos / 1000 * 1000 };
                out.integer(2, i64::from(nanos));
                out.integer(1, at.seconds);
            }
        }
        Kind::Quantity => {
            let text = text(value);
            out.bytes(1, if text.is_empty() { b"0" } else { text.as_bytes() });
        }
        Kind::IntOrString => {
            out.bytes(3, text(value).as_bytes());
            out.integer(2, value.and_then(Value::as_i64).unwrap_or(0));
            out.integer(1, i64::from(value.is_some_and(Value::is_string)));
        }
        Kind::FieldsV1 => {
            if let Some(value) = value {
                let mut text = Vec::new();
                crate::encode::field_set(value, &mut text);
                out.bytes(1, &text);
            }
        }
        Kind::Raw | Kind::Json => {
            if let Some(value) = value {
                out.bytes(1, value.to_string().as_bytes());
            }
        }
        Kind::SchemaOrArray(t) | Kind::SchemaOrBool(t) | Kind::SchemaOrStrings(t) => schema_or(out, shape, t, value),
        _ => unreachable!("everything else is no message"),
    }
}

/// The unions of JSON schemas.
fn schema_or(out: &mut Backward, shape: &Shape, t: &TypeRef, value: Option<&Value>) {
    let of_bool = matches!(shape.kind, Kind::SchemaOrBool(_));
    match value {
        Some(Value::Object(map)) => {
            let mark = out.mark();
            structure(out, t.get().plan(), t.get(), Some(map));
            out.close(if of_bool { 2 } else { 1 }, mark);
        }
        Some(Value::Array(list)) => {
            let item = match shape.kind {
                Kind::SchemaOrArray(_) => Shape::of(Kind::Struct(t.clone())),
                _ => Shape::of(Kind::String),
            };
            for element in list.iter().rev() {
                write_value(out, 2, &item, Some(element));
            }
        }
        _ => {}
    }
    if of_bool {
        let allows = value.is_some_and(|v| v.as_bool().unwrap_or(v.is_object()));
        out.integer(1, i64::from(allows));
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or("")
}
