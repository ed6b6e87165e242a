//! What a definition may say upstream and is not built here yet. It is refused: a rule that nobody enforces must not look
//! like one.

use meta::Object;
use meta::field::{Error, Errors, Path};

use super::definition::Definition;

/// What is said of rules.
pub const RULES: &str = "x-kubernetes-validations: rules in CEL are not enforced by this server yet";

/// Refuses rules in CEL.
pub fn errors(object: &Object) -> Errors {
    let spec = Path::new("spec");
    let mut errors = Errors::new();
    let has_rules = |schema: &super::definition::Props| {
        schema.get("x-kubernetes-validations").and_then(serde_json::Value::as_array).is_some_and(|rules| !rules.is_empty())
    };
    if Definition::of(object).any(has_rules) {
        errors.push(Error::forbidden(&spec.child("versions"), RULES));
    }
    errors
}
