//! What of a value is looked at alone: its type, and whether it is one of those that are listed.

use meta::field::Sort;
use serde_json::Value;

use super::outcome::{Failure, Outcome};
use super::{Check, number};
use crate::structural::shown;

/// Whether the form of a value is one of those that are wanted.
pub(super) fn of_type(check: &Check, value: &Value, at: &str) -> Outcome {
    let right = Outcome::right;
    let wants = |word: &str| check.types.iter().any(|of| of == word);
    let wanted = || check.types.join(",");
    let (is, format) = match value {
        Value::Null if check.types.is_empty() || check.nullable || wants("null") => return right(),
        Value::Null => return Failure::of_type(at, &wanted(), "null").into(),
        Value::Bool(_) => ("boolean", ""),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
        Value::Number(number) if number.is_f64() => ("number", "float64"),
        Value::Number(_) => ("integer", "int64"),
    };
    let whole = is == "number" && wants("integer") && number::is_whole(value.as_f64().unwrap_or(0.0));
    let fits = wants(is) || whole || is == "integer" && wants("number");
    let loose = matches!(value, Value::String(_) | Value::Array(_));
    if !check.format.is_empty() && !loose && !fits && format != check.format {
        return Failure::of_type(at, &check.format, format).into();
    }
    // Of a text or a list with a format, the format is all that counts.
    if !check.format.is_empty() && loose && !wants("number") && !wants("integer") {
        return right();
    }
    if fits { right() } else { Failure::of_type(at, &wanted(), is).into() }
}

/// Whether a value is one of those that are listed.
pub(super) fn of_values(check: &Check, value: &Value, at: &str) -> Outcome {
    if check.values.is_empty() || check.values.iter().any(|known| is_value(value, known)) {
        return Outcome::default();
    }
    let known: Vec<String> = check.values.iter().map(|known| known.as_str().map_or_else(|| json(known), str::to_owned)).collect();
    let quoted: Vec<String> = known.iter().map(|known| meta::text::quoted(known)).collect();
    let detail = format!("supported values: {}", quoted.join(", "));
    let said = format!("{at} in body should be one of [{}]", known.join(" "));
    Failure::of(Sort::NotSupported, at, value.clone(), detail, said).into()
}

fn json(value: &Value) -> String {
    if value.is_number() { String::from_utf8_lossy(&crate::encode::plain(value)).into_owned() } else { shown(value) }
}

/// As Go compares after it has converted the value to the type of what is listed.
fn is_value(value: &Value, known: &Value) -> bool {
    match (value, known) {
        (Value::Number(number), Value::Number(known)) => match (number.as_i64(), known.as_i64()) {
            (Some(number), Some(known)) => number == known,
            (Some(_), None) => number.as_f64() == known.as_f64(),
            (None, Some(known)) => number.as_f64().is_some_and(|number| number::truncated(number) == known),
            (None, None) => number.as_f64() == known.as_f64(),
        },
        // A whole number is the letter of that code.
        (Value::Number(number), Value::String(known)) => number.as_i64().is_some_and(|code| {
            let letter = u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            known.chars().eq([letter])
        }),
        (_, Value::Null) => false,
        (value, known) => value == known,
    }
}
