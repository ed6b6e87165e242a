//! Rules in CEL (`x-kubernetes-validations`): what they may see of an object, what they cost, and what they have against it
//! (upstream: `apiextensions-apiserver/pkg/apiserver/schema/cel`).
//!
//! Rules are compiled once for a schema, when an object is first held against them. All of them look at one copy of the
//! object's tree; none has values of its own. All rules of one object share a budget.

mod compile;
mod declared;
mod lists;
mod moments;
mod place;
mod resource;
mod run;
#[cfg(test)]
mod tests;
mod value;

use std::sync::{Arc, OnceLock};

use meta::Object;
use meta::field::{Error, Errors, Path, Sort};
use schema::structural::{self, Node, Old};
use serde_json::Value;

pub use compile::{Compiled, Work, compile};
pub use declared::Declared;
use place::Place;
pub use run::Verdict;
use run::{Run, Was};

/// The rules of a kind.
pub struct Expressions {
    node: Arc<Node>,
    has_rules: bool,
    compiled: OnceLock<Option<Place>>,
}

impl Expressions {
    /// Of the schema of a kind. Nothing is compiled yet.
    pub fn new(node: Arc<Node>) -> Expressions {
        Expressions { has_rules: node.has_rules(), node, compiled: OnceLock::new() }
    }

    fn compiled(&self) -> Option<&Place> {
        if !self.has_rules {
            return None;
        }
        self.compiled.get_or_init(|| Place::root(&self.node, true, &mut Work::of_stored())).as_ref()
    }

    /// What the rules may cost for one object, in units of cost, of which upstream counts a million for a tenth of a second.
    /// Rules that are not compiled yet cost most.
    pub fn cost(&self) -> u64 {
        match self.compiled.get() {
            _ if !self.has_rules => 0,
            None => cel::limits::RUNTIME,
            Some(place) => place.as_ref().map_or(0, Place::cost).min(cel::limits::RUNTIME),
        }
    }

    /// What the rules have against an object, or against a change of one. `found`: what its schema has against it. If that
    /// may keep an expression from making sense of it, nothing is asked.
    pub fn validate(&self, new: &Object, old: Option<&Object>, found: &Errors) -> Verdict {
        let Some(place) = self.compiled() else { return Verdict::default() };
        if found.iter().any(blocks) {
            let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete \
                       validation";
            return Verdict { errors: vec![Error::invalid(&Path::default(), Value::Null, why)], warnings: Vec::new() };
        }
        let tree = |object: &Object| Value::Object(object.fields().clone());
        let (new, old) = (tree(new), old.map(tree));
        let old = old.as_ref().map(|old| Old::new(&self.node.check, &new, old));
        let mut run = Run::new(cel::limits::RUNTIME);
        run.value(place, &Path::default(), &new, Was::root(old.as_ref(), true));
        run.verdict
    }
}

/// Whether after such an error an object may have any form.
fn blocks(error: &Error) -> bool {
    matches!(error.sort, Sort::NotSupported | Sort::Required | Sort::TooLong | Sort::TooMany | Sort::TypeInvalid)
}

/// The rules on defaults of a schema, which have one budget.
pub struct Defaults {
    left: u64,
    work: Work,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults { left: cel::limits::RUNTIME, work: Work::default() }
    }
}

impl structural::Expressions for Defaults {
    fn judge(&mut self, node: &Arc<Node>, resource: bool, path: &Path, default: &Value) -> Result<Errors, Errors> {
        let Some(place) = Place::root(node, resource, &mut self.work) else { return Ok(Errors::new()) };
        let old = Old::new(&node.check, default, default);
        // As if nothing changed, and, if that is right, as if it came to be.
        let mut changed = Run::new(self.left);
        changed.value(&place, path, default, Was::root(Some(&old), false));
        let mut runs = vec![changed];
        if runs[0].verdict.errors.is_empty() {
            let mut made = Run::new(self.left);
            made.value(&place, path, default, Was::root(None, false));
            runs.push(made);
        }
        self.left = runs.iter().map(Run::left).min().unwrap_or(0);
        let ended = runs.iter().any(|run| run.ended);
        let errors = runs.into_iter().flat_map(|run| run.verdict.errors).collect();
        if ended { Err(errors) } else { Ok(errors) }
    }
}
