//! Sizes, membership and texts of the language itself.

use super::{Library, function, method, mismatch, re};
use crate::cost::Cost;
use crate::types::Type;
use crate::value::{Error, Outcome, Str, Value};
use std::sync::Arc;

pub(super) const LIBRARY: Library = Library {
    name: "standard",
    types: &[],
    rows: &[
        function("@in", "in_list", "A, list(A)", "bool", Cost::InList, within).whole(),
        function("@in", "in_map", "A, map(A, B)", "bool", Cost::One, within).whole(),
        function("size", "size_bytes", "bytes", "int", Cost::One, size).whole(),
        method("size", "bytes_size", "bytes", "int", Cost::One, size).whole(),
        function("size", "size_list", "list(A)", "int", Cost::One, size).whole(),
        method("size", "list_size", "list(A)", "int", Cost::One, size).whole(),
        function("size", "size_map", "map(A, B)", "int", Cost::One, size).whole(),
        method("size", "map_size", "map(A, B)", "int", Cost::One, size).whole(),
        function("size", "size_string", "string", "int", Cost::One, size).whole(),
        method("size", "string_size", "string", "int", Cost::One, size).whole(),
        function("type", "type", "A", "type(A)", Cost::One, type_of).whole(),
        function("dyn", "to_dyn", "A", "dyn", Cost::One, dynamic).whole(),
        method("contains", "contains_string", "string, string", "bool", Cost::Contains, contains).whole(),
        method("endsWith", "ends_with_string", "string, string", "bool", Cost::Prefix, ends_with).whole(),
        method("startsWith", "starts_with_string", "string, string", "bool", Cost::Prefix, starts_with).whole(),
        function("matches", "matches", "string, string", "bool", Cost::One, matches).whole(),
        method("matches", "matches_string", "string, string", "bool", Cost::Matches, matches).whole(),
    ],
};

fn within<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [value, Value::List(list)] => Ok(Value::Bool(list.contains(value))),
        [value, Value::Map(map)] => match map.get(value) {
            // A value that cannot be computed is there.
            Some(Err(error)) if !matches!(value, Value::String(_)) => Err(error),
            found => Ok(Value::Bool(found.is_some())),
        },
        _ => mismatch(),
    }
}

fn size<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [value @ (Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_))] => {
            Ok(Value::Int(i64::try_from(value.size()).unwrap_or(i64::MAX)))
        }
        [Value::Opaque(value)] if value.size().is_some() => {
            Ok(Value::Int(value.size().and_then(|size| i64::try_from(size).ok()).unwrap_or(0)))
        }
        [Value::Timestamp(_) | Value::Duration(_)] => mismatch(),
        _ => Err(Error::fixed("no such overload: size")),
    }
}

fn type_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [value] => Ok(Value::Type(Arc::new(match value.type_of() {
            of if of.held().is_some() => Type::optional(Type::Dyn),
            of => of,
        }))),
        _ => mismatch(),
    }
}

fn dynamic<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    args.first().cloned().ok_or(Error::NO_OVERLOAD)
}

fn texts<'s, 'a>(args: &'s [Value<'a>]) -> Result<(&'s Str<'a>, &'s Str<'a>), Error> {
    match args {
        [Value::String(a), Value::String(b)] => Ok((a, b)),
        _ => mismatch(),
    }
}

fn contains<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    texts(args).map(|(text, part)| Value::Bool(text.contains(&**part)))
}

fn ends_with<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    texts(args).map(|(text, end)| Value::Bool(text.ends_with(&**end)))
}

fn starts_with<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    texts(args).map(|(text, start)| Value::Bool(text.starts_with(&**start)))
}

fn matches<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text), Value::String(pattern)] => {
            let pattern = re::compile(pattern).map_err(Error::made)?;
            Ok(Value::Bool(pattern.is_match(text)))
        }
        [Value::String(_) | Value::Timestamp(_) | Value::Duration(_), _] => mismatch(),
        _ => Err(Error::fixed("no such overload: matches")),
    }
}
