//! Searches with patterns, which are read as Go's `regexp` reads them.

use regex::Regex;

use super::mismatch;
use crate::value::{Outcome, Value};

pub(crate) use meta::pattern::compile;

/// The first match, or nothing.
pub(crate) fn find<'a>(pattern: &Regex, text: &str) -> Value<'a> {
    Value::text(pattern.find(text).map_or("", |found| found.as_str()))
}

/// All matches, or so many of them.
pub(crate) fn find_all<'a>(pattern: &Regex, text: &str, most: Option<&Value<'a>>) -> Outcome<'a> {
    let most = match most {
        None => usize::MAX,
        Some(Value::Int(most)) => usize::try_from(*most).unwrap_or(usize::MAX),
        Some(_) => return mismatch(),
    };
    Ok(Value::list(pattern.find_iter(text).take(most).map(|found| Value::text(found.as_str())).collect()))
}
