//! LocalSubjectAccessReview.

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::Rules;

struct LocalSubjectAccessReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin(
        "authorization.k8s.io/v1",
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        LocalSubjectAccessReview,
    )
    .verbs(Verbs::CreateOnly)
}

impl Rules for LocalSubjectAccessReview {}
