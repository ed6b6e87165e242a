//! Lease.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct Lease;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("coordination.k8s.io/v1", "Lease", "leases", Lease).lazy()
}

impl Rules for Lease {}
