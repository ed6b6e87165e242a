//! SelfSubjectReview.

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::Rules;

struct SelfSubjectReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", SelfSubjectReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for SelfSubjectReview {}
