//! SelfSubjectAccessReview: whether the caller may.

use meta::{Object, Status};

use super::access;
use crate::verbs::Work;

/// Answers.
pub async fn run(work: &Work<'_>, review: Object) -> Result<Object, Status> {
    let mut errors = access::check(&review, false);
    access::check_metadata(&review, &[], "must be empty", &mut errors);
    access::refuse(&review, &errors)?;
    Ok(access::decide(review, work.attributes().user.clone(), &work.ask.state.authorization))
}
