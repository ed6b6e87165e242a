//! What one schema has against one value.

use std::collections::HashSet;
use std::sync::Arc;

use meta::field::{Error, Path, Sort};
use serde_json::Value;

use crate::structural::shown;

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Upstream's name of the place, with a dot before it at the root; `None` where upstream names none.
    at: Option<String>,
    sort: Sort,
    value: Value,
    detail: String,
    /// Upstream's sentence, by which it knows what was said already.
    said: Arc<str>,
}

impl Failure {
    /// A value is not as it should be.
    pub fn invalid(at: &str, value: Value, said: String) -> Failure {
        Failure { at: Some(at.to_owned()), sort: Sort::Invalid, value, detail: said.clone(), said: said.into() }
    }

    /// The same with a detail of another sort than upstream's sentence.
    pub fn of(sort: Sort, at: &str, value: Value, detail: String, said: String) -> Failure {
        Failure { at: Some(at.to_owned()), sort, value, detail, said: said.into() }
    }

    /// Something is wrong, and upstream does not say with which value.
    pub fn somewhere(said: String) -> Failure {
        Failure { at: None, ..Failure::invalid("", Value::from(""), said) }
    }

    /// A value is of the wrong type: `wanted` and `is` are upstream's names.
    pub fn of_type(at: &str, wanted: &str, is: &str) -> Failure {
        let said = format!("{at} in body must be of type {wanted}: {}", meta::text::quoted(is));
        Failure::of(Sort::TypeInvalid, at, Value::from(is), said.clone(), said)
    }

    fn error(self, path: &Path) -> Error {
        let at = self.at.as_deref().filter(|at| !at.is_empty() && *at != ".");
        let path = at.map_or_else(|| path.clone(), |at| path.child(at.strip_prefix('.').unwrap_or(at)));
        let shown = Some(shown(&self.value));
        Error { sort: self.sort, path, value: self.value, detail: self.detail, shown }
    }
}

/// All that is wrong, and how much was right: of several alternatives, upstream names what is wrong with the one that comes
/// closest.
#[derive(Default)]
pub struct Outcome {
    failures: Vec<Failure>,
    known: HashSet<Arc<str>>,
    pub matches: usize,
}

impl Outcome {
    /// One thing that is right.
    pub fn right() -> Outcome {
        Outcome { matches: 1, ..Outcome::default() }
    }

    pub fn is_valid(&self) -> bool {
        self.failures.is_empty()
    }

    pub fn add(&mut self, failure: Failure) {
        if self.known.insert(failure.said.clone()) {
            self.failures.push(failure);
        }
    }

    pub fn merge(&mut self, other: Outcome) {
        self.matches += other.matches;
        if self.failures.is_empty() {
            self.failures = other.failures;
            self.known = other.known;
            return;
        }
        other.failures.into_iter().for_each(|failure| self.add(failure));
    }

    /// Takes what is wrong away: it was wrong before.
    pub fn forgive(&mut self) {
        self.failures.clear();
        self.known.clear();
    }

    pub fn errors(self, path: &Path) -> Vec<Error> {
        self.failures.into_iter().map(|failure| failure.error(path)).collect()
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.add(failure);
        outcome
    }
}
