//! Replicas of a custom resource (upstream: `pkg/registry/customresource/validator.go`, `ValidateScaleSpec`).

use meta::Object;
use meta::field::{Error, Errors, Path};
use serde_json::Value;

use crate::descriptor::{Replicas, Selector};

/// What is wrong with the numbers and the selector of an object.
pub(super) fn validate(replicas: &Replicas, object: &Object) -> Errors {
    let mut errors = Errors::new();
    for path in [&replicas.wanted, &replicas.present] {
        number(path, object, &mut errors);
    }
    if let Selector::Text(path) = &replicas.selector {
        match object.at(path) {
            None | Some(Value::String(_)) => {}
            Some(other) => {
                let why = format!(".{path} accessor error: {} is of the type {}, expected string", shown(other), go_type(other));
                errors.push(Error::invalid(&place(path), "", why));
            }
        }
    }
    errors
}

fn number(path: &str, object: &Object, errors: &mut Errors) {
    let Some(value) = object.at(path) else { return };
    let Some(number) = value.as_i64() else {
        let why = format!(".{path} accessor error: {} is of the type {}, expected int64", shown(value), go_type(value));
        return errors.push(Error::invalid(&place(path), 0, why));
    };
    if number < 0 {
        errors.push(Error::invalid(&place(path), number, "should be a non-negative integer"));
    } else if number > i64::from(i32::MAX) {
        let why = format!("should be less than or equal to {}", i32::MAX);
        errors.push(Error::invalid(&place(path), number, why));
    }
}

/// A value as Go's `%v` prints it.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What Go calls its type.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Upstream shows the path with its point.
fn place(path: &str) -> Path {
    Path::new(&format!(".{path}"))
}
