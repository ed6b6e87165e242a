//! SubjectAccessReview: whether somebody may.

use meta::{Object, Status};

use super::access;
use crate::verbs::Work;

/// Answers.
pub async fn run(work: &Work<'_>, review: Object) -> Result<Object, Status> {
    access::check(work, &review)?;
    let user = access::subject(&review);
    Ok(access::decide(work, review, user))
}
