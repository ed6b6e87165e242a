//! `<`, `<=`, `>`, `>=`: between the same types, and between numbers of all types.

use std::cmp::Ordering;

use super::{Library, Row, Run, function};
use crate::cost::Cost;
use crate::value::{Error, Outcome, Value};

macro_rules! rows {
    ($($name:literal, $prefix:literal, $run:ident;)*) => {
        &[$(
            of($name, concat!($prefix, "_bool"), "bool, bool", Cost::One, $run),
            of($name, concat!($prefix, "_int64"), "int, int", Cost::One, $run),
            of($name, concat!($prefix, "_int64_double"), "int, double", Cost::One, $run),
            of($name, concat!($prefix, "_int64_uint64"), "int, uint", Cost::One, $run),
            of($name, concat!($prefix, "_uint64"), "uint, uint", Cost::One, $run),
            of($name, concat!($prefix, "_uint64_double"), "uint, double", Cost::One, $run),
            of($name, concat!($prefix, "_uint64_int64"), "uint, int", Cost::One, $run),
            of($name, concat!($prefix, "_double"), "double, double", Cost::One, $run),
            of($name, concat!($prefix, "_double_int64"), "double, int", Cost::One, $run),
            of($name, concat!($prefix, "_double_uint64"), "double, uint", Cost::One, $run),
            of($name, concat!($prefix, "_string"), "string, string", Cost::Compare, $run),
            of($name, concat!($prefix, "_bytes"), "bytes, bytes", Cost::Compare, $run),
            of($name, concat!($prefix, "_timestamp"), "timestamp, timestamp", Cost::One, $run),
            of($name, concat!($prefix, "_duration"), "duration, duration", Cost::One, $run),
        )*]
    };
}

pub(super) const LIBRARY: Library = Library {
    name: "compare",
    types: &[],
    rows: rows! {
        "_<_", "less", less;
        "_<=_", "less_equals", at_most;
        "_>_", "greater", greater;
        "_>=_", "greater_equals", at_least;
    },
};

const fn of(name: &'static str, overload: &'static str, args: &'static str, cost: Cost, run: Run) -> Row {
    function(name, overload, args, "bool", cost, run).whole()
}

fn order(name: &str, args: &[Value<'_>]) -> Result<Ordering, Error> {
    match args {
        [a, b] if a.is_comparable() => a.order(b),
        _ => Err(Error::made(format!("no such overload: {name}"))),
    }
}

fn less<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    order("_<_", args).map(|order| Value::Bool(order.is_lt()))
}

fn at_most<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    order("_<=_", args).map(|order| Value::Bool(order.is_le()))
}

fn greater<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    order("_>_", args).map(|order| Value::Bool(order.is_gt()))
}

fn at_least<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    order("_>=_", args).map(|order| Value::Bool(order.is_ge()))
}
