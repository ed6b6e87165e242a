//! SelfSubjectRulesReview: what may I do in a namespace?

use meta::Object;
use serde_json::json;

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::{Context, Rules};

struct SelfSubjectRulesReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", SelfSubjectRulesReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for SelfSubjectRulesReview {
    /// The answer is the server's to give.
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({"resourceRules": [], "nonResourceRules": [], "incomplete": false}));
    }
}
