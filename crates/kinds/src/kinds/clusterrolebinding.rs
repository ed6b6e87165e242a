//! ClusterRoleBinding.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct ClusterRoleBinding;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", ClusterRoleBinding)
        .cluster_scoped()
}

impl Rules for ClusterRoleBinding {}
