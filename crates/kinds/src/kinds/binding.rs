//! Binding.

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::Rules;

struct Binding;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Binding", "bindings", Binding).verbs(Verbs::CreateOnly)
}

impl Rules for Binding {}
