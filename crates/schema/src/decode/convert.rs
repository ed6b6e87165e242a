//! Decoding of a tree, as upstream does with the result of a strategic merge patch and of an apply
//! (`apimachinery/pkg/runtime/converter.go`): other words for what is wrong, and numbers are fitted in.

use meta::limits;
use serde_json::{Map, Value};

use super::path::Path;
use super::{Walk, word};
use crate::encode;
use crate::model::{Kind, Shape, Type};

/// The tree with its numbers fitted into their fields; or what is wrong with it.
pub fn fit(root: &Type, tree: &Value) -> Result<Value, String> {
    match tree {
        Value::Object(map) => structure(root, map),
        other => Err(format!("cannot restore struct from: {}", go_kind(other))),
    }
}

fn structure(owner: &Type, map: &Map<String, Value>) -> Result<Value, String> {
    let mut out = map.clone();
    for field in &owner.fields {
        if let Some(value) = map.get(&*field.name) {
            out.insert(field.name.clone().into_owned(), converted(&field.shape, value)?);
        }
    }
    Ok(Value::Object(out))
}

fn converted(shape: &Shape, value: &Value) -> Result<Value, String> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match (&shape.kind, value) {
        (Kind::String | Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Int | Kind::Float, value) => scalar(shape, value),
        (Kind::Struct(t), Value::Object(map)) => structure(t.get(), map),
        (Kind::Struct(_), value) => Err(format!("cannot restore struct from: {}", go_kind(value))),
        (Kind::Map { value: shape, .. }, Value::Object(map)) => {
            let entries = map.iter().map(|(key, value)| Ok((key.clone(), converted(shape, value)?)));
            Ok(Value::Object(entries.collect::<Result<_, String>>()?))
        }
        (Kind::Map { .. }, value) => Err(format!("cannot restore map from {}", go_kind(value))),
        (Kind::List { item, .. }, Value::Array(list)) => {
            Ok(Value::Array(list.iter().map(|value| converted(item, value)).collect::<Result<_, _>>()?))
        }
        (Kind::Bytes, Value::String(_)) => own(shape, value).map_err(|why| format!("error decoding from json: {why}")),
        (Kind::List { .. }, value) => Err(format!("cannot restore slice from {}", go_kind(value))),
        (Kind::Bytes, Value::Array(list)) => {
            let bytes = list.iter().map(byte).collect::<Result<Vec<u8>, _>>()?;
            Ok(Value::Array(bytes.into_iter().map(Value::from).collect()))
        }
        (Kind::Bytes, value) => Err(format!("cannot restore slice from {}", go_kind(value))),
        (Kind::Json, value) => Ok(value.clone()),
        _ => own(shape, value),
    }
}

fn scalar(shape: &Shape, value: &Value) -> Result<Value, String> {
    let wrong = || Err(format!("cannot convert {} to {}", go_kind(value), shape.go_type()));
    match (&shape.kind, value) {
        (Kind::String, Value::String(_)) | (Kind::Bool, Value::Bool(_)) | (Kind::Float, Value::Number(_)) => Ok(value.clone()),
        (Kind::Int32 | Kind::Int64 | Kind::Int, Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| number.as_f64().filter(|f| f.fract() == 0.0).map(truncated));
            whole.map_or_else(wrong, |n| Ok(if matches!(shape.kind, Kind::Int32) { low_half(n).into() } else { n.into() }))
        }
        // Go could make a letter of it.
        (Kind::String, Value::Number(number)) if number.is_i64() => wrong(),
        _ => Err(format!("unrecognized type: {}", shape.kind.go_word())),
    }
}

/// One of a list of numbers that stands for bytes: its lowest eight bits.
fn byte(value: &Value) -> Result<u8, String> {
    match value {
        Value::Null => Ok(0),
        Value::Number(number) => {
            let whole = number.as_i64().or_else(|| number.as_f64().filter(|f| f.fract() == 0.0).map(truncated));
            let low = |n: i64| n.to_le_bytes()[0];
            whole.map(low).ok_or_else(|| format!("cannot convert {} to uint8", go_kind(value)))
        }
        _ => Err("unrecognized type: uint8".to_owned()),
    }
}

/// A whole double as the processor makes an integer of it: what does not fit becomes the smallest.
fn truncated(double: f64) -> i64 {
    // Both bounds are powers of two: a double has them exactly.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&double);
    if fits { format!("{double:.0}").parse().unwrap_or(i64::MIN) } else { i64::MIN }
}

/// The lower 32 bits, as Go's conversion to `int32` keeps them.
fn low_half(number: i64) -> i32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// By the decoder of the type itself.
fn own(shape: &Shape, value: &Value) -> Result<Value, String> {
    let text = encode::plain(value);
    let mut walk = Walk::new(&text, limits::NESTING);
    let read = walk.value(shape, &Path::root(), &mut None).map_err(|error| error.0)?;
    match walk.fatal.or(walk.error) {
        Some(message) => Err(message),
        None => Ok(read.unwrap_or(Value::Null)),
    }
}

/// The name of Go's kind of a value in a tree.
fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
        other => word(other),
    }
}

#[cfg(test)]
mod tests {
    use meta::Gvk;
    use serde_json::json;

    use super::*;
    use crate::Schema;

    fn of_pod(tree: Value) -> Result<Value, String> {
        fit(Schema::builtin(&Gvk::new("", "v1", "Pod")).expect("there").root(), &tree)
    }

    #[test]
    fn wrong_sorts_are_named_as_the_converter_names_them() {
        let wrong = |tree| of_pod(tree).expect_err("wrong");
        assert_eq!(wrong(json!({"metadata": 5})), "cannot restore struct from: int64");
        assert_eq!(wrong(json!({"metadata": {"labels": "x"}})), "cannot restore map from string");
        assert_eq!(wrong(json!({"spec": {"containers": 1.5}})), "cannot restore slice from float64");
        assert_eq!(wrong(json!({"spec": {"restartPolicy": 5}})), "cannot convert int64 to v1.RestartPolicy");
        assert_eq!(wrong(json!({"spec": {"nodeName": []}})), "unrecognized type: string");
        assert_eq!(wrong(json!({"spec": {"priority": 0.5}})), "cannot convert float64 to int32");
    }

    #[test]
    fn a_list_may_stand_for_bytes() {
        let secret = Schema::builtin(&Gvk::new("", "v1", "Secret")).expect("there");
        let of = |list: Value| fit(secret.root(), &json!({"data": {"a": list}}));
        assert_eq!(of(json!([1, 257, 2e0, null])), Ok(json!({"data": {"a": [1, 1, 2, 0]}})));
        assert_eq!(of(json!(["a"])), Err("unrecognized type: uint8".to_owned()));
        assert_eq!(of(json!([0.5])), Err("cannot convert float64 to uint8".to_owned()));
    }

    #[test]
    fn numbers_are_fitted_in() {
        let fitted = of_pod(json!({"spec": {"priority": 4_294_967_297_i64, "activeDeadlineSeconds": 1e3}}));
        assert_eq!(fitted, Ok(json!({"spec": {"priority": 1, "activeDeadlineSeconds": 1000}})));
    }
}
