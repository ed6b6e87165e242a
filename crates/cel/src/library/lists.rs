//! Lists in another order or shape (upstream: cel-go `ext/lists.go`, version 3).

use std::cmp::Ordering;

use super::{Library, Row, Run, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, List, Outcome, Value};

macro_rules! rows {
    ($($of:literal, $name:literal, $text:literal;)*) => {
        &[
            method("slice", "list_slice", "list(T), int, int", "list(T)", Cost::Slice, slice),
            method("flatten", "list_flatten", "list(list(T))", "list(T)", Cost::Flatten, flatten).whole(),
            method("flatten", "list_flatten_int", "list(dyn), int", "list(dyn)", Cost::Flatten, flatten).whole(),
            $(
                of("sort", concat!("list_", $name, "_sort"), concat!("list(", $of, ")"), concat!("list(", $of, ")"), Cost::Sort($text), sort),
            )*
            $(
                of("@sortByAssociatedKeys", concat!("list_", $name, "_sortByAssociatedKeys"), concat!("list(T), list(", $of, ")"),
                    "list(T)", Cost::SortBy($text), sort_by),
            )*
            function("lists.range", "lists_range", "int", "list(int)", Cost::Numbers, range),
            method("reverse", "list_reverse", "list(T)", "list(T)", Cost::Reverse, reverse),
            method("distinct", "list_distinct", "list(T)", "list(T)", Cost::Distinct, distinct),
        ]
    };
}

pub(super) const LIBRARY: Library = Library {
    name: "cel.lib.ext.lists",
    types: &[],
    rows: rows! {
        "int", "int", false;
        "uint", "uint", false;
        "double", "double", false;
        "bool", "bool", false;
        "duration", "google.protobuf.Duration", false;
        "timestamp", "google.protobuf.Timestamp", false;
        "string", "string", true;
        "bytes", "bytes", true;
    },
};

const fn of(name: &'static str, overload: &'static str, args: &'static str, result: &'static str, cost: Cost, run: Run) -> Row {
    method(name, overload, args, result, cost, run).whole()
}

/// Items of a list that is made from a number: more of them are not made, because making them is not stopped.
const LONGEST: i64 = 1_000_000;

fn slice<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = args else { return mismatch() };
    let refused = |why: String| Err(Error::made(format!("cannot slice({start}, {end}), {why}")));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return refused("negative indexes not supported".to_owned());
    };
    if from > to {
        return refused("start index must be less than or equal to end index".to_owned());
    }
    if list.len() < to {
        return refused(format!("list is length {}", list.len()));
    }
    Ok(Value::list((from..to).filter_map(|at| list.get(at)).collect()))
}

fn flatten<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (list, depth) = match args {
        [Value::List(list)] => (list, 1),
        [Value::List(list), Value::Int(depth)] => (list, *depth),
        [other] => return Err(Error::made(format!("no such overload: {}.flatten()", other.type_name()))),
        [one, other] => {
            return Err(Error::made(format!("no such overload: {}.flatten({})", one.type_name(), other.type_name())));
        }
        _ => return mismatch(),
    };
    if depth < 0 {
        return Err(Error::fixed("level must be non-negative"));
    }
    let mut out = Vec::new();
    flat(list, depth, &mut out);
    Ok(Value::list(out))
}

fn flat<'a>(list: &List<'a>, depth: i64, out: &mut Vec<Value<'a>>) {
    for item in list.iter() {
        match item {
            Value::List(inner) if depth > 0 => crate::deep(|| flat(&inner, depth - 1, out)),
            other => out.push(other),
        }
    }
}

fn sort<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list)] = args else { return mismatch() };
    sorted(list, list)
}

fn sort_by<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list), Value::List(keys)] = args else { return mismatch() };
    sorted(list, keys)
}

fn sorted<'a>(list: &List<'a>, keys: &List<'a>) -> Outcome<'a> {
    if list.len() != keys.len() {
        let rule = "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got";
        return Err(Error::made(format!("{rule} {} and {} elements respectively", list.len(), keys.len())));
    }
    let mut pairs: Vec<(Value<'a>, Value<'a>)> = keys.iter().zip(list.iter()).collect();
    let Some((first, _)) = pairs.first() else { return Ok(Value::List(list.clone())) };
    if !first.is_comparable() {
        return Err(Error::fixed("list elements must be comparable"));
    }
    let kind = std::mem::discriminant(first);
    if pairs.iter().any(|(key, _)| std::mem::discriminant(key) != kind) {
        return Err(Error::fixed("list elements must have the same type"));
    }
    pairs.sort_by(|(a, _), (b, _)| a.order(b).unwrap_or(Ordering::Equal));
    Ok(Value::list(pairs.into_iter().map(|(_, item)| item).collect()))
}

fn range<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Int(end)] = args else { return mismatch() };
    if *end > LONGEST {
        return Err(Error::CostLimit);
    }
    Ok(Value::list((0..*end).map(Value::Int).collect()))
}

fn reverse<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list)] = args else { return mismatch() };
    Ok(Value::list((0..list.len()).rev().filter_map(|at| list.get(at)).collect()))
}

fn distinct<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list)] = args else { return mismatch() };
    let mut out: Vec<Value<'a>> = Vec::new();
    for item in list.iter() {
        if !out.iter().any(|known| item.equals(known) == Ok(true)) {
            out.push(item);
        }
    }
    Ok(Value::list(out))
}
