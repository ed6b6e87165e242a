//! Kubernetes' lists: `isSorted`, `sum`, `min`, `max`, `indexOf`, `lastIndexOf`.

use std::cmp::Ordering;

use super::{Library, Row, Run, maths, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, List, Outcome, Value};

macro_rules! comparable {
    ($($of:literal),*) => {
        &[
            $(
                of("isSorted", concat!("list_", $of, "_is_sorted_bool"), concat!("list(", $of, ")"), "bool", is_sorted),
                of("max", concat!("list_", $of, "_max_", $of), concat!("list(", $of, ")"), $of, max),
                of("min", concat!("list_", $of, "_min_", $of), concat!("list(", $of, ")"), $of, min),
            )*
            of("sum", "list_int_sum_int", "list(int)", "int", |args| sum(args, Value::Int(0))),
            of("sum", "list_uint_sum_uint", "list(uint)", "uint", |args| sum(args, Value::Uint(0))),
            of("sum", "list_double_sum_double", "list(double)", "double", |args| sum(args, Value::Double(0.0))),
            of("sum", "list_duration_sum_duration", "list(duration)", "duration", |args| sum(args, Value::Duration(0))),
            of("indexOf", "list_a_index_of_int", "list(A), A", "int", index_of),
            of("lastIndexOf", "list_a_last_index_of_int", "list(A), A", "int", last_index_of),
        ]
    };
}

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.lists",
    types: &[],
    rows: comparable!("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"),
};

const fn of(name: &'static str, overload: &'static str, args: &'static str, result: &'static str, run: Run) -> Row {
    method(name, overload, args, result, Cost::Traverse, run)
}

fn list<'s, 'a>(args: &'s [Value<'a>]) -> Result<&'s List<'a>, Error> {
    match args.first() {
        Some(Value::List(list)) => Ok(list),
        _ => mismatch(),
    }
}

fn is_sorted<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let mut before: Option<Value<'a>> = None;
    for item in list(args)?.iter() {
        if !item.is_comparable() {
            return mismatch();
        }
        if before.is_some_and(|before| before.order(&item) == Ok(Ordering::Greater)) {
            return Ok(Value::Bool(false));
        }
        before = Some(item);
    }
    Ok(Value::Bool(true))
}

fn sum<'a>(args: &[Value<'a>], zero: Value<'a>) -> Outcome<'a> {
    list(args)?.iter().try_fold(zero, |sum, item| maths::add(&[sum, item]))
}

fn most<'a>(args: &[Value<'a>], name: &str, better: Ordering) -> Outcome<'a> {
    let mut best: Option<Value<'a>> = None;
    for item in list(args)?.iter() {
        if !item.is_comparable() {
            return mismatch();
        }
        if best.as_ref().is_none_or(|best| best.order(&item) == Ok(better)) {
            best = Some(item);
        }
    }
    best.ok_or_else(|| Error::made(format!("{name} called on empty list")))
}

fn min<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    most(args, "min", Ordering::Greater)
}

fn max<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    most(args, "max", Ordering::Less)
}

fn place<'a>(args: &[Value<'a>], found: Option<usize>) -> Outcome<'a> {
    list(args)?;
    Ok(Value::Int(found.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1)))
}

fn index_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [_, wanted] = args else { return mismatch() };
    place(args, list(args)?.iter().position(|item| item.equals(wanted) == Ok(true)))
}

fn last_index_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [_, wanted] = args else { return mismatch() };
    let list = list(args)?;
    place(args, (0..list.len()).rev().find(|at| list.get(*at).is_some_and(|item| item.equals(wanted) == Ok(true))))
}
