//! LocalSubjectAccessReview: whether somebody may, in one namespace.

use meta::field::{Error, Path};
use meta::{Object, Status};

use super::access;
use crate::verbs::Work;

/// Answers.
pub async fn run(work: &Work<'_>, mut review: Object) -> Result<Object, Status> {
    let namespace = &*work.attributes().namespace;
    if !matches!(review.namespace(), "" | "default") && review.namespace() != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    review.set("metadata.namespace", namespace);
    let mut errors = access::check(&review, true);
    access::check_metadata(&review, &["namespace"], "must be empty except for namespace", &mut errors);
    let asked = review.str_at("spec.resourceAttributes.namespace");
    if review.at("spec.resourceAttributes").is_some() && asked != namespace {
        let path = Path::new("spec.resourceAttributes.namespace");
        errors.push(Error::invalid(&path, asked, "must match metadata.namespace"));
    }
    if let Some(path) = review.at("spec.nonResourceAttributes") {
        let why = "disallowed on this kind of request";
        errors.push(Error::invalid(&Path::new("spec.nonResourceAttributes"), path.clone(), why));
    }
    access::refuse(&review, &errors)?;
    let user = access::subject(&review);
    Ok(access::decide(review, user, &work.ask.state.authorization))
}
