//! PriorityClass.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct PriorityClass;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", PriorityClass).cluster_scoped().short("pc")
}

impl Rules for PriorityClass {}
