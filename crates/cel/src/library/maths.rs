//! Sums, differences, products, quotients: whole numbers never overflow silently.

use std::sync::Arc;

use super::{Library, Row, Run, function, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "maths",
    types: &[],
    rows: &[
        of("_+_", "add_bytes", "bytes, bytes", "bytes", Cost::AddText, add),
        of("_+_", "add_double", "double, double", "double", Cost::One, add),
        of("_+_", "add_duration_duration", "duration, duration", "duration", Cost::One, add),
        of("_+_", "add_duration_timestamp", "duration, timestamp", "timestamp", Cost::One, add),
        of("_+_", "add_timestamp_duration", "timestamp, duration", "timestamp", Cost::One, add),
        of("_+_", "add_int64", "int, int", "int", Cost::One, add),
        of("_+_", "add_list", "list(A), list(A)", "list(A)", Cost::AddList, add),
        of("_+_", "add_string", "string, string", "string", Cost::AddText, add),
        of("_+_", "add_uint64", "uint, uint", "uint", Cost::One, add),
        of("_/_", "divide_double", "double, double", "double", Cost::One, divide),
        of("_/_", "divide_int64", "int, int", "int", Cost::One, divide),
        of("_/_", "divide_uint64", "uint, uint", "uint", Cost::One, divide),
        of("_%_", "modulo_int64", "int, int", "int", Cost::One, modulo),
        of("_%_", "modulo_uint64", "uint, uint", "uint", Cost::One, modulo),
        of("_*_", "multiply_double", "double, double", "double", Cost::One, multiply),
        of("_*_", "multiply_int64", "int, int", "int", Cost::One, multiply),
        of("_*_", "multiply_uint64", "uint, uint", "uint", Cost::One, multiply),
        of("-_", "negate_double", "double", "double", Cost::One, negate),
        of("-_", "negate_int64", "int", "int", Cost::One, negate),
        of("_-_", "subtract_double", "double, double", "double", Cost::One, subtract),
        of("_-_", "subtract_duration_duration", "duration, duration", "duration", Cost::One, subtract),
        of("_-_", "subtract_int64", "int, int", "int", Cost::One, subtract),
        of("_-_", "subtract_timestamp_duration", "timestamp, duration", "timestamp", Cost::One, subtract),
        of("_-_", "subtract_timestamp_timestamp", "timestamp, timestamp", "duration", Cost::One, subtract),
        of("_-_", "subtract_uint64", "uint, uint", "uint", Cost::One, subtract),
    ],
};

const fn of(name: &'static str, overload: &'static str, args: &'static str, result: &'static str, cost: Cost, run: Run) -> Row {
    function(name, overload, args, result, cost, run).whole()
}

const INT: Error = Error::fixed("integer overflow");
const UINT: Error = Error::fixed("unsigned integer overflow");

fn int<'a>(value: Option<i64>) -> Outcome<'a> {
    value.map(Value::Int).ok_or(INT)
}

fn uint<'a>(value: Option<u64>) -> Outcome<'a> {
    value.map(Value::Uint).ok_or(UINT)
}

fn duration<'a>(value: Option<i64>) -> Outcome<'a> {
    value.map(Value::Duration).ok_or(INT)
}

/// What is said of operands that an operator is not for: upstream looks at the first one alone before it calls.
fn unfit<'a>(name: &str, first: &Value<'_>, takes: bool) -> Outcome<'a> {
    // Texts and times are asked for a method of that name first.
    if takes || matches!(first, Value::String(_) | Value::Timestamp(_) | Value::Duration(_)) {
        return mismatch();
    }
    Err(Error::made(format!("no such overload: {name}")))
}

fn is_number(value: &Value<'_>) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
}

pub(super) fn add<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [a, b] = args else { return mismatch() };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => int(a.checked_add(*b)),
        (Value::Uint(a), Value::Uint(b)) => uint(a.checked_add(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => Ok(Value::text([&**a, &**b].concat())),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Value::Bytes(Arc::from([&**a, &**b].concat()))),
        (Value::List(a), Value::List(b)) => a.plus(b),
        (Value::Duration(a), Value::Duration(b)) => duration(a.checked_add(*b)),
        (Value::Duration(a), Value::Timestamp(b)) => b.plus(*a).map(Value::Timestamp),
        (Value::Timestamp(a), Value::Duration(b)) => a.plus(*b).map(Value::Timestamp),
        (a, _) => unfit("_+_", a, is_number(a) || matches!(a, Value::Bytes(_) | Value::List(_))),
    }
}

fn subtract<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [a, b] = args else { return mismatch() };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => int(a.checked_sub(*b)),
        (Value::Uint(a), Value::Uint(b)) => uint(a.checked_sub(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Value::Duration(a), Value::Duration(b)) => duration(a.checked_sub(*b)),
        (Value::Timestamp(a), Value::Duration(b)) => a.plus(b.checked_neg().ok_or(INT)?).map(Value::Timestamp),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.since(b).map(Value::Duration),
        (a, _) => unfit("_-_", a, is_number(a)),
    }
}

fn multiply<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [a, b] = args else { return mismatch() };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => int(a.checked_mul(*b)),
        (Value::Uint(a), Value::Uint(b)) => uint(a.checked_mul(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        (a, _) => unfit("_*_", a, is_number(a)),
    }
}

fn divide<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    const ZERO: Error = Error::fixed("division by zero");
    let [a, b] = args else { return mismatch() };
    match (a, b) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => Err(ZERO),
        (Value::Int(a), Value::Int(b)) => int(a.checked_div(*b)),
        (Value::Uint(a), Value::Uint(b)) => uint(a.checked_div(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        (a, _) => unfit("_/_", a, is_number(a)),
    }
}

fn modulo<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    const ZERO: Error = Error::fixed("modulus by zero");
    let [a, b] = args else { return mismatch() };
    match (a, b) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => Err(ZERO),
        (Value::Int(a), Value::Int(b)) => int(a.checked_rem(*b)),
        (Value::Uint(a), Value::Uint(b)) => uint(a.checked_rem(*b)),
        (a, _) => unfit("_%_", a, matches!(a, Value::Int(_) | Value::Uint(_))),
    }
}

fn negate<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::Int(a)] => int(a.checked_neg()),
        [Value::Double(a)] => Ok(Value::Double(-a)),
        [Value::Duration(a)] => duration(a.checked_neg()),
        [a] => unfit("-_", a, matches!(a, Value::Bool(_))),
        _ => mismatch(),
    }
}
