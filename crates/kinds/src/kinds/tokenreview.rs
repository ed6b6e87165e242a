//! TokenReview: whose token is this?

use meta::Object;
use serde_json::json;

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::{Context, Rules};

struct TokenReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authentication.k8s.io/v1", "TokenReview", "tokenreviews", TokenReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for TokenReview {
    /// The answer is the server's to give.
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({"user": {}}));
    }
}
