//! Kubernetes' `find` and `findAll`.

use super::{Library, method, mismatch, re};
use crate::cost::Cost;
use crate::value::{Error, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.regex",
    types: &[],
    rows: &[
        method("find", "string_find_string", "string, string", "string", Cost::Find, find),
        method("findAll", "string_find_all_string", "string, string", "list(string)", Cost::Find, find_all),
        method("findAll", "string_find_all_string_int", "string, string, int", "list(string)", Cost::Find, find_all),
    ],
};

fn compiled(pattern: &str) -> Result<regex::Regex, Error> {
    re::compile(pattern).map_err(|why| Error::made(format!("Illegal regex: {why}")))
}

fn find<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(pattern)] = args else { return mismatch() };
    Ok(re::find(&compiled(pattern)?, text))
}

fn find_all<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(pattern), most @ ..] = args else { return mismatch() };
    re::find_all(&compiled(pattern)?, text, most.first())
}
