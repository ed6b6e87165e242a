//! SelfSubjectReview: who the caller is.

use jiff::Timestamp;
use meta::{Object, Status};

use super::user_info;
use crate::verbs::Work;

/// Answers.
pub async fn run(work: &Work<'_>, question: Object) -> Result<Object, Status> {
    let mut review = Object::default();
    review.set_gvk(&question.gvk());
    review.set("metadata.creationTimestamp", meta::time::seconds(Timestamp::now()));
    review.set("status.userInfo", user_info(&work.attributes().user));
    Ok(review)
}
