//! SubjectAccessReview: whether somebody may.

use meta::{Object, Status};

use super::access;
use crate::verbs::Work;

/// Answers.
pub async fn run(work: &Work<'_>, review: Object) -> Result<Object, Status> {
    let mut errors = access::check(&review, true);
    access::check_metadata(&review, &[], "must be empty", &mut errors);
    access::refuse(&review, &errors)?;
    let user = access::subject(&review);
    Ok(access::decide(review, user, &work.ask.state.authorization))
}
