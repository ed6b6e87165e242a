//! SelfSubjectReview: who am I?

use meta::Object;
use serde_json::json;

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::{Context, Rules};

struct SelfSubjectReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", SelfSubjectReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for SelfSubjectReview {
    /// The answer is the server's to give.
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({"userInfo": {}}));
    }
}
