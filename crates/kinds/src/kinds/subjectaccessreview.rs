//! SubjectAccessReview.

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::Rules;

struct SubjectAccessReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", SubjectAccessReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for SubjectAccessReview {}
