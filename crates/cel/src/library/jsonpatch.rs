//! Names in JSON pointers.

use super::{Library, function, mismatch};
use crate::cost::Cost;
use crate::value::{Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.jsonpatch",
    types: &[],
    rows: &[function("jsonpatch.escapeKey", "string_jsonpatch_escapeKey_string", "string", "string", Cost::Copied, escape)],
};

fn escape<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(key)] => Ok(Value::text(key.replace('~', "~0").replace('/', "~1"))),
        _ => mismatch(),
    }
}
