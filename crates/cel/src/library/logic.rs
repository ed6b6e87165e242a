//! Logic, equality, indexes: what the evaluator does itself.

use super::{Library, Row, function, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "logic",
    types: &[],
    rows: &[
        of("_?_:_", "conditional", "bool, A, A", "A", Cost::Conditional),
        of("_&&_", "logical_and", "bool, bool", "bool", Cost::Logic),
        of("_||_", "logical_or", "bool, bool", "bool", Cost::Logic),
        function("!_", "logical_not", "bool", "bool", Cost::One, not).whole(),
        of("@not_strictly_false", "not_strictly_false", "bool", "bool", Cost::One),
        of("_==_", "equals", "A, A", "bool", Cost::Equal),
        of("_!=_", "not_equals", "A, A", "bool", Cost::Differ),
        of("_[_]", "index_list", "list(A), int", "A", Cost::IndexList),
        of("_[_]", "index_map", "map(A, B), A", "B", Cost::IndexMap),
        of("_[_]", "optional_list_index_int", "optional(list(V)), int", "optional(V)", Cost::One),
        of("_[_]", "optional_map_index_value", "optional(map(K, V)), K", "optional(V)", Cost::One),
        of("_[?_]", "list_optindex_optional_int", "list(V), int", "optional(V)", Cost::One),
        of("_[?_]", "optional_list_optindex_optional_int", "optional(list(V)), int", "optional(V)", Cost::One),
        of("_[?_]", "map_optindex_optional_value", "map(K, V), K", "optional(V)", Cost::One),
        of("_[?_]", "optional_map_optindex_optional_value", "optional(map(K, V)), K", "optional(V)", Cost::One),
        of("_?._", "select_optional_field", "dyn, string", "optional(V)", Cost::One),
    ],
};

const fn of(name: &'static str, overload: &'static str, args: &'static str, result: &'static str, cost: Cost) -> Row {
    function(name, overload, args, result, cost, built).built()
}

/// No row of this file but `!_` is called.
fn built<'a>(_: &[Value<'a>]) -> Outcome<'a> {
    Err(Error::NO_OVERLOAD)
}

fn not<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::Bool(value)] => Ok(Value::Bool(!value)),
        _ => mismatch(),
    }
}
