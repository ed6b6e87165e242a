//! RoleBinding.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct RoleBinding;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", RoleBinding)
}

impl Rules for RoleBinding {}
