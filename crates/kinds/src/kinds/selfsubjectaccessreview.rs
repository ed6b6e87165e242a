//! SelfSubjectAccessReview: may I do this?

use meta::Object;
use meta::field::Errors;
use serde_json::json;

use super::subjectaccessreview::{empty_metadata, one_of_both};
use crate::descriptor::{Descriptor, Verbs};
use crate::rules::{Context, Rules};
use crate::view::View;

struct SelfSubjectAccessReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", SelfSubjectAccessReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for SelfSubjectAccessReview {
    /// The answer is the server's to give.
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({"allowed": false}));
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        one_of_both(&View::of(object, "spec"), &mut errors);
        empty_metadata(object, &[], "must be empty", &mut errors);
        errors
    }
}
