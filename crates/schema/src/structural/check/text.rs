//! What is demanded of texts.

use std::sync::OnceLock;

use meta::field::Sort;
use regex::Regex;
use serde_json::Value;

use super::Check;
use super::outcome::{Failure, Outcome};

/// A pattern as it is written, and as it is used; or why it cannot be. It is compiled when a text is first held against it.
#[derive(Debug)]
pub struct Pattern {
    written: String,
    compiled: OnceLock<Result<Regex, String>>,
}

impl Pattern {
    pub fn new(written: &str) -> Pattern {
        Pattern { written: written.to_owned(), compiled: OnceLock::new() }
    }
}

/// The first thing that is wrong with a text.
pub fn check(check: &Check, text: &str, at: &str) -> Outcome {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if let Some(max) = check.max_length.filter(|max| length > *max) {
        let detail = match max {
            i64::MIN..=-1 => "value is too long".to_owned(),
            1 => "may not be more than 1 byte".to_owned(),
            max => format!("may not be more than {max} bytes"),
        };
        let said = format!("{at} in body should be at most {max} chars long");
        return Failure::of(Sort::TooLong, at, Value::Null, detail, said).into();
    }
    if let Some(min) = check.min_length.filter(|min| length < *min) {
        return Failure::invalid(at, text.into(), format!("{at} in body should be at least {min} chars long")).into();
    }
    let Some(Pattern { written, compiled }) = &check.pattern else { return Outcome::default() };
    let wanted = match compiled.get_or_init(|| meta::pattern::compile(written)) {
        Ok(pattern) if pattern.is_match(text) => return Outcome::default(),
        Ok(_) => written.clone(),
        Err(why) => format!("{written}, but pattern is invalid: {why}"),
    };
    Failure::invalid(at, text.into(), format!("{at} in body should match '{wanted}'")).into()
}
