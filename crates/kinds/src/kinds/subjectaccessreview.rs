//! SubjectAccessReview: may somebody do this?

use meta::Object;
use meta::field::{Error, Errors};
use serde_json::{Value, json};

use crate::descriptor::{Descriptor, Verbs};
use crate::rules::{Context, Rules};
use crate::tree::is_zero;
use crate::validate::selector::{field_requirement, requirement};
use crate::view::View;

struct SubjectAccessReview;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", SubjectAccessReview)
        .cluster_scoped()
        .verbs(Verbs::CreateOnly)
}

impl Rules for SubjectAccessReview {
    /// The answer is the server's to give.
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({"allowed": false}));
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        review(&View::of(object, "spec"), &mut errors);
        empty_metadata(object, &[], "must be empty", &mut errors);
        errors
    }
}

/// A question about somebody.
pub(super) fn review(spec: &View<'_>, errors: &mut Errors) {
    exclusive(spec, errors);
    if spec.text("user").is_empty() && spec.at("groups").is_empty() {
        errors.push(spec.at("user").invalid("at least one of user or group must be specified"));
    }
    attributes(spec, errors);
}

/// A question about oneself.
pub(super) fn one_of_both(spec: &View<'_>, errors: &mut Errors) {
    exclusive(spec, errors);
    attributes(spec, errors);
}

fn exclusive(spec: &View<'_>, errors: &mut Errors) {
    let (resource, other) = (spec.at("resourceAttributes"), spec.at("nonResourceAttributes"));
    if resource.exists() && other.exists() {
        // Upstream shows its internal form.
        let shown = json!({"Path": other.text("path"), "Verb": other.text("verb")});
        errors.push(Error::invalid(&other.path, shown, "cannot be specified in combination with resourceAttributes"));
    }
    if !resource.exists() && !other.exists() {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(Error::invalid(&resource.path, Value::Null, detail));
    }
}

fn attributes(spec: &View<'_>, errors: &mut Errors) {
    let resource = spec.at("resourceAttributes");
    for (name, fields) in [("fieldSelector", true), ("labelSelector", false)] {
        let Some(selector) = resource.get(name) else { continue };
        let (raw, requirements) = (selector.at("rawSelector"), selector.at("requirements"));
        if !raw.str().is_empty() && !requirements.is_empty() {
            errors.push(raw.invalid("may not specified at the same time as requirements"));
        }
        if raw.str().is_empty() && requirements.is_empty() {
            let detail = format!("when {} is specified, requirements or rawSelector is required", selector.path);
            errors.push(requirements.required(detail));
        }
        for r in requirements.items() {
            if fields { field_requirement(&r, errors) } else { requirement(&r, true, errors) }
        }
    }
}

/// A question has no name or labels.
pub(super) fn empty_metadata(object: &Object, except: &[&str], detail: &str, errors: &mut Errors) {
    let metadata = View::of(object, "metadata");
    let filled = |(name, value): (&String, &Value)| name != "managedFields" && !except.contains(&name.as_str()) && !is_zero(value);
    if metadata.map().iter().any(filled) {
        errors.push(metadata.invalid(detail));
    }
}
