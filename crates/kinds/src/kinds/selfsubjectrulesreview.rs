//! SelfSubjectRulesReview.

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::Rules;

struct SelfSubjectRulesReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", SelfSubjectRulesReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for SelfSubjectRulesReview {}
