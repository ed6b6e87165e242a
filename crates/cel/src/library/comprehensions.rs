//! What loops that make maps call.

use super::{Library, function};
use crate::cost::Cost;
use crate::value::{Error, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "cel.lib.ext.comprev2",
    types: &[],
    rows: &[
        function("cel.@mapInsert", "@mapInsert_map_key_value", "map(K, V), K, V", "map(K, V)", Cost::One, built).built(),
        function("cel.@mapInsert", "@mapInsert_map_map", "map(K, V), map(K, V)", "map(K, V)", Cost::One, built).built(),
    ],
};

/// The evaluator does it in place: only loops can write this name.
fn built<'a>(_: &[Value<'a>]) -> Outcome<'a> {
    Err(Error::NO_OVERLOAD)
}
