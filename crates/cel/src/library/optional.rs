//! Values that may be absent (upstream: cel-go `cel/library.go`).

use super::{Library, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, List, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "cel.lib.optional",
    types: &["optional_type"],
    rows: &[
        function("optional.of", "optional_of", "V", "optional(V)", Cost::One, of),
        function("optional.ofNonZeroValue", "optional_ofNonZeroValue", "V", "optional(V)", Cost::One, of_non_zero),
        function("optional.none", "optional_none", "", "optional(V)", Cost::One, none).sequential(),
        method("value", "optional_value", "optional(V)", "V", Cost::One, value),
        method("hasValue", "optional_hasValue", "optional(V)", "bool", Cost::One, has_value),
        method("or", "optional_or_optional", "optional(V), optional(V)", "optional(V)", Cost::One, otherwise).built(),
        method("orValue", "optional_orValue_value", "optional(V), V", "V", Cost::One, otherwise).built(),
        method("last", "list_last", "list(V)", "optional(V)", Cost::One, last),
        method("first", "list_first", "list(V)", "optional(V)", Cost::One, first),
        function("optional.unwrap", "optional_unwrap", "list(optional(V))", "list(V)", Cost::One, unwrap),
        method("unwrapOpt", "optional_unwrapOpt", "list(optional(V))", "list(V)", Cost::One, unwrap),
    ],
};

fn of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    args.first().cloned().map(Value::some).ok_or(Error::NO_OVERLOAD)
}

fn of_non_zero<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [value] if value.is_zero() => Ok(Value::Optional(None)),
        args => of(args),
    }
}

fn none<'a>(_: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Optional(None))
}

fn value<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::Optional(Some(held))] => Ok((**held).clone()),
        [Value::Optional(None)] => Err(Error::fixed("optional.none() dereference")),
        _ => mismatch(),
    }
}

fn has_value<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::Optional(held)] => Ok(Value::Bool(held.is_some())),
        _ => mismatch(),
    }
}

/// The evaluator does it: what comes second is computed only when it is needed.
fn otherwise<'a>(_: &[Value<'a>]) -> Outcome<'a> {
    Err(Error::NO_OVERLOAD)
}

fn list<'s, 'a>(args: &'s [Value<'a>]) -> Result<&'s List<'a>, Error> {
    match args {
        [Value::List(list)] => Ok(list),
        _ => mismatch(),
    }
}

fn first<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(list(args)?.get(0).map_or(Value::Optional(None), Value::some))
}

fn last<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let list = list(args)?;
    Ok(list.len().checked_sub(1).and_then(|at| list.get(at)).map_or(Value::Optional(None), Value::some))
}

fn unwrap<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let mut out = Vec::new();
    for item in list(args)?.iter() {
        match item {
            Value::Optional(held) => out.extend(held.map(|held| (*held).clone())),
            other => return Err(Error::made(format!("value {} is not optional", other.shown()))),
        }
    }
    Ok(Value::list(out))
}
