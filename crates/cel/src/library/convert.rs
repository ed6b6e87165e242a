//! Conversions between types (upstream: `ConvertToType` of cel-go's values).

use std::sync::Arc;

use super::{Library, Row, Run, function, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Outcome, Timestamp, Value, general, time};

pub(super) const LIBRARY: Library = Library {
    name: "convert",
    types: &["bool", "bytes", "double", "duration", "int", "list", "map", "null_type", "string", "timestamp", "type", "uint"],
    rows: &[
        of("bool", "bool_to_bool", "bool", "bool", same),
        of("bool", "string_to_bool", "string", "bool", to_bool),
        of("bytes", "bytes_to_bytes", "bytes", "bytes", same),
        function("bytes", "string_to_bytes", "string", "bytes", Cost::ToBytes, to_bytes),
        of("double", "double_to_double", "double", "double", same),
        of("double", "int64_to_double", "int", "double", to_double),
        of("double", "string_to_double", "string", "double", to_double),
        of("double", "uint64_to_double", "uint", "double", to_double),
        of("duration", "duration_to_duration", "duration", "duration", same),
        of("duration", "int64_to_duration", "int", "duration", to_duration),
        of("duration", "string_to_duration", "string", "duration", to_duration),
        of("int", "int64_to_int64", "int", "int", same),
        of("int", "double_to_int64", "double", "int", to_int),
        of("int", "duration_to_int64", "duration", "int", to_int),
        of("int", "string_to_int64", "string", "int", to_int),
        of("int", "timestamp_to_int64", "timestamp", "int", to_int),
        of("int", "uint64_to_int64", "uint", "int", to_int),
        of("string", "string_to_string", "string", "string", same),
        of("string", "bool_to_string", "bool", "string", to_string),
        function("string", "bytes_to_string", "bytes", "string", Cost::ToText, to_string),
        of("string", "double_to_string", "double", "string", to_string),
        of("string", "duration_to_string", "duration", "string", to_string),
        of("string", "int64_to_string", "int", "string", to_string),
        of("string", "timestamp_to_string", "timestamp", "string", to_string),
        of("string", "uint64_to_string", "uint", "string", to_string),
        of("timestamp", "timestamp_to_timestamp", "timestamp", "timestamp", same),
        of("timestamp", "int64_to_timestamp", "int", "timestamp", to_timestamp),
        of("timestamp", "string_to_timestamp", "string", "timestamp", to_timestamp),
        of("uint", "uint64_to_uint64", "uint", "uint", same),
        of("uint", "double_to_uint64", "double", "uint", to_uint),
        of("uint", "int64_to_uint64", "int", "uint", to_uint),
        of("uint", "string_to_uint64", "string", "uint", to_uint),
    ],
};

/// The functions whose calls with constants are computed while compiling.
pub(crate) const CONVERSIONS: &[&str] =
    &["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"];

const fn of(name: &'static str, overload: &'static str, args: &'static str, result: &'static str, run: Run) -> Row {
    function(name, overload, args, result, Cost::One, run)
}

fn wrong<'a>(from: &Value<'_>, to: &str) -> Outcome<'a> {
    Err(Error::made(format!("type conversion error from '{}' to '{to}'", from.type_name())))
}

fn same<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    args.first().cloned().ok_or(Error::NO_OVERLOAD)
}

fn to_bool<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return mismatch() };
    match &**text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
        _ => wrong(&args[0], "bool"),
    }
}

fn to_bytes<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return mismatch() };
    Ok(Value::Bytes(Arc::from(text.as_bytes())))
}

fn to_double<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::Int(value)] => Ok(Value::Double(*value as f64)),
        [Value::Uint(value)] => Ok(Value::Double(*value as f64)),
        [from @ Value::String(text)] => match go_float(text) {
            Some(value) => Ok(Value::Double(value)),
            None => wrong(from, "double"),
        },
        _ => mismatch(),
    }
}

/// What Go's `ParseFloat` reads: also `_` between digits of hexadecimal ones is refused here, as it is without a base prefix.
fn go_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return hex_float(hex).map(|value| if text.starts_with('-') { -value } else { value });
    }
    let value: f64 = text.parse().ok()?;
    // Beyond the largest is an error, unless it was written as infinity.
    if value.is_infinite() && !matches!(&*lower, "inf" | "infinity") { None } else { Some(value) }
}

fn hex_float(hex: &str) -> Option<f64> {
    let (mantissa, exponent) = hex.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let value = u64::from_str_radix(&digits, 16).ok()? as f64;
    let exponent: i32 = exponent.parse().ok()?;
    let value = value * 2f64.powi(exponent.checked_sub(i32::try_from(fraction.len()).ok()? * 4)?);
    value.is_finite().then_some(value)
}

fn to_duration<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [from @ Value::Int(_)] => wrong(from, "google.protobuf.Duration"),
        [from @ Value::String(text)] => match meta::duration::parse(text) {
            Ok(nanos) => Ok(Value::Duration(nanos)),
            Err(_) => wrong(from, "google.protobuf.Duration"),
        },
        _ => mismatch(),
    }
}

fn to_int<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    const OVERFLOW: Error = Error::fixed("integer overflow");
    match args {
        [Value::Uint(value)] => i64::try_from(*value).map(Value::Int).map_err(|_| OVERFLOW),
        // Go compares with the limits as doubles, which are one further.
        [Value::Double(value)] if *value > -9_223_372_036_854_775_808.0 && *value < 9_223_372_036_854_775_808.0 => {
            Ok(Value::Int(*value as i64))
        }
        [Value::Double(_)] => Err(OVERFLOW),
        [Value::Duration(nanos)] => Ok(Value::Int(*nanos)),
        [Value::Timestamp(moment)] => Ok(Value::Int(moment.seconds())),
        [from @ Value::String(text)] => match text.parse() {
            Ok(value) => Ok(Value::Int(value)),
            Err(_) => wrong(from, "int"),
        },
        _ => mismatch(),
    }
}

fn to_string<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::text(match args {
        [Value::Bool(value)] => value.to_string(),
        [Value::Int(value)] => value.to_string(),
        [Value::Uint(value)] => value.to_string(),
        [Value::Double(value)] => general(*value),
        [Value::Duration(nanos)] => time::seconds(*nanos),
        [Value::Timestamp(moment)] => moment.to_string(),
        [Value::Bytes(bytes)] => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => return Err(Error::fixed("invalid UTF-8 in bytes, cannot convert to string")),
        },
        _ => return mismatch(),
    }))
}

fn to_timestamp<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::Int(seconds)] => Timestamp::new(*seconds, 0).map(Value::Timestamp),
        [from @ Value::String(text)] => match Timestamp::parse(text) {
            Some(moment) => moment.map(Value::Timestamp),
            None => wrong(from, "google.protobuf.Timestamp"),
        },
        _ => mismatch(),
    }
}

fn to_uint<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    const OVERFLOW: Error = Error::fixed("unsigned integer overflow");
    match args {
        [Value::Int(value)] => u64::try_from(*value).map(Value::Uint).map_err(|_| OVERFLOW),
        [Value::Double(value)] if *value >= 0.0 && *value < 18_446_744_073_709_551_616.0 => Ok(Value::Uint(*value as u64)),
        [Value::Double(_)] => Err(OVERFLOW),
        [from @ Value::String(text)] => match text.parse() {
            Ok(value) if !text.starts_with('+') => Ok(Value::Uint(value)),
            _ => wrong(from, "uint"),
        },
        _ => mismatch(),
    }
}
