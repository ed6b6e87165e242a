//! SelfSubjectAccessReview.

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::Rules;

struct SelfSubjectAccessReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", SelfSubjectAccessReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for SelfSubjectAccessReview {}
