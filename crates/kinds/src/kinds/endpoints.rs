//! Endpoints.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct Endpoints;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Endpoints", "endpoints", Endpoints).short("ep").stored_at("/registry/services/endpoints/")
}

impl Rules for Endpoints {}
