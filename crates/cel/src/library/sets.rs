//! Lists as sets (upstream: cel-go `ext/sets.go`).

use super::{Library, function, mismatch};
use crate::cost::Cost;
use crate::value::{Error, List, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "cel.lib.ext.sets",
    types: &[],
    rows: &[
        function("sets.contains", "list_sets_contains_list", "list(T), list(T)", "bool", Cost::Sets(1), contains),
        function("sets.equivalent", "list_sets_equivalent_list", "list(T), list(T)", "bool", Cost::Sets(2), equivalent),
        function("sets.intersects", "list_sets_intersects_list", "list(T), list(T)", "bool", Cost::Sets(1), intersects),
    ],
};

fn lists<'s, 'a>(args: &'s [Value<'a>]) -> Result<(&'s List<'a>, &'s List<'a>), Error> {
    match args {
        [Value::List(a), Value::List(b)] => Ok((a, b)),
        _ => mismatch(),
    }
}

fn has_all<'a>(whole: &List<'a>, part: &List<'a>) -> bool {
    part.iter().all(|item| whole.contains(&item))
}

fn contains<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    lists(args).map(|(whole, part)| Value::Bool(has_all(whole, part)))
}

fn equivalent<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    lists(args).map(|(a, b)| Value::Bool(has_all(a, b) && has_all(b, a)))
}

fn intersects<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    lists(args).map(|(a, b)| Value::Bool(a.iter().any(|item| b.contains(&item))))
}
