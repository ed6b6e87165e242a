//! LocalSubjectAccessReview: whether somebody may, in one namespace.

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
    access::check(work, &review)?;
    let user = access::subject(&review);
    Ok(access::decide(work, review, user))
}
