//! TokenReview.

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::Rules;

struct TokenReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authentication.k8s.io/v1", "TokenReview", "tokenreviews", TokenReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for TokenReview {}
