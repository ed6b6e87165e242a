//! Secret.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct Secret;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Secret", "secrets", Secret)
}

impl Rules for Secret {}
