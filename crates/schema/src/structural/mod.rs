//! Structural schemas: what a CustomResourceDefinition says of its objects (upstream:
//! `apiextensions-apiserver/pkg/apiserver/schema`), read into the model that built-in types have, and what only such a
//! schema has: rules for values, and rules for the schema itself.
//!
//! Decoding, pruning, defaults and encoding are the walks of the built-in types. A document's own forms are kept until it
//! is validated: a text where a number is wanted is found by [`Check`], not by the decoder.

mod check;
mod defaults;
mod embedded;
mod form;
mod lists;
mod node;
mod path;
mod props;
mod shown;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use meta::field::{Errors, Path};
use serde_json::{Map, Value};

pub use check::{Check, Formats, Old, duration, is_known_format};
pub use defaults::{Expressions, has_unpruned, validate as validate_defaults};
pub use embedded::Judge;
pub use form::validate as validate_form;
pub use node::{Node, Rule};
pub use path::field_path;
pub use props::{any as any_schema, supported};
pub use shown::shown;

/// How deep schemas may be nested: a document that has them is no deeper.
const DEPTH: usize = meta::limits::NESTING;
/// Reads the schema of a kind; or why it is none that a kind can have, in upstream's words.
pub fn root(schema: &Map<String, Value>, formats: Formats) -> Result<Arc<Node>, String> {
    node::root(schema, &Check::read(schema, formats)?, formats)
}

type Fields = Map<String, Value>;

/// What is wrong with an object, or with a change of one. `between`: what the caller has found, which upstream says
/// after what the schema demands, and before what is said of embedded objects and lists.
pub(crate) fn validate(node: &Node, new: &Fields, old: Option<&Fields>, between: Errors, judge: Judge) -> Errors {
    let (new, old) = (Value::Object(new.clone()), old.map(|old| Value::Object(old.clone())));
    let mut errors = node.check.validate(&Path::default(), &new, old.as_ref());
    errors.extend(between);
    errors.extend(embedded::validate(node, &Path::default(), &new, judge));
    twice(node, &new, old.as_ref(), &mut errors);
    errors
}

/// What is wrong with a change of the status. Upstream does not look at objects within.
pub(crate) fn validate_status(node: &Node, new: &Fields, old: &Fields, between: Errors) -> Errors {
    let mut errors = Errors::new();
    if let (Some(status), Some(check)) = (new.get("status"), node.check.properties.get("status")) {
        let before = old.get("status").unwrap_or(&Value::Null);
        errors = check.validate(&Path::new("status"), status, Some(before));
    }
    errors.extend(between);
    twice(node, &Value::Object(new.clone()), Some(&Value::Object(old.clone())), &mut errors);
    errors
}

/// What is in a list twice, if it was not before.
fn twice(node: &Node, new: &Value, old: Option<&Value>, errors: &mut Errors) {
    if old.is_none_or(|old| lists::validate(&node.fields, &Path::default(), old).is_empty()) {
        errors.extend(lists::validate(&node.fields, &Path::default(), new));
    }
}

/// Whether the value of a field of a schema is one that says nothing.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(_) => false,
    }
}
