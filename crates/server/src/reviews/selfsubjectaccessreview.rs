//! SelfSubjectAccessReview: whether the caller may.

use meta::{Object, Status};

use super::access;
use crate::verbs::Work;

/// Answers.
pub async fn run(work: &Work<'_>, review: Object) -> Result<Object, Status> {
    access::check(work, &review)?;
    Ok(access::decide(work, review, work.attributes().user.clone()))
}
