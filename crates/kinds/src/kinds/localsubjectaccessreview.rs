//! LocalSubjectAccessReview: may somebody do this in this namespace?

use meta::Object;
use meta::field::{Error, Errors};
use serde_json::json;

use super::subjectaccessreview::{empty_metadata, review};
use crate::descriptor::{Descriptor, Verbs};
use crate::rules::{Context, Rules};
use crate::view::View;

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

impl Rules for LocalSubjectAccessReview {
    /// The answer is the server's to give.
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({"allowed": false}));
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let spec = View::of(object, "spec");
        review(&spec, &mut errors);
        empty_metadata(object, &["namespace"], "must be empty except for namespace", &mut errors);
        let resource = spec.at("resourceAttributes");
        if resource.exists() && resource.text("namespace") != object.namespace() {
            errors.push(resource.at("namespace").invalid("must match metadata.namespace"));
        }
        if let Some(other) = spec.get("nonResourceAttributes") {
            // Upstream shows its internal form.
            let shown = json!({"Path": other.text("path"), "Verb": other.text("verb")});
            errors.push(Error::invalid(&other.path, shown, "disallowed on this kind of request"));
        }
        errors
    }
}
