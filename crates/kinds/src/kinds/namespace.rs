//! Namespace.

use crate::descriptor::{CHANGE, Descriptor, Verbs};
use crate::rules::Rules;

struct Namespace;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Namespace", "namespaces", Namespace)
        .cluster_scoped()
        .verbs(Verbs::NoDeleteCollection)
        .short("ns")
        .sub("finalize", &["update"])
        .sub("status", CHANGE)
}

impl Rules for Namespace {}
