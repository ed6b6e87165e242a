//! Role.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct Role;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("rbac.authorization.k8s.io/v1", "Role", "roles", Role)
}

impl Rules for Role {}
