//! ClusterRole.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct ClusterRole;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", ClusterRole).cluster_scoped()
}

impl Rules for ClusterRole {}
