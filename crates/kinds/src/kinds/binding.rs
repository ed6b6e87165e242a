//! Binding: what a scheduler posts to put a pod on a node.

use meta::Object;
use meta::field::{Error, Errors};

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::Rules;
use crate::view::View;

struct Binding;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Binding", "bindings", Binding).verbs(Verbs::CreateOnly)
}

impl Rules for Binding {
    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let target = View::of(object, "target");
        if !matches!(target.text("kind"), "" | "Node") {
            errors.push(target.at("kind").not_supported(&["Node", "<empty>"]));
        }
        if target.text("name").is_empty() {
            errors.push(Error::required(&target.at("name").path, ""));
        }
        errors
    }
}
