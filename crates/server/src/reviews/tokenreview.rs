//! TokenReview: whose token it is.

use jiff::Timestamp;
use meta::{Object, Status};
use serde_json::json;

use super::{strings, user_info};
use crate::verbs::Work;

/// Answers.
pub async fn run(work: &Work<'_>, mut review: Object) -> Result<Object, Status> {
    let token = review.str_at("spec.token");
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let (token, audiences) = (token.to_owned(), strings(review.list_at("spec.audiences")));
    review.remove("status.authenticated");
    if token.trim().is_empty() {
        // As a header it is none, and who shows none is somebody, too.
        let user = json!({"username": "system:anonymous", "groups": ["system:unauthenticated"]});
        let audiences = work.ask.state.authentication.audiences(&audiences);
        review.set("status", json!({"authenticated": true, "user": user, "audiences": audiences}));
        return Ok(review);
    }
    match work.ask.state.authentication.review(&token, &audiences, Timestamp::now()).await {
        Ok((user, audiences)) => {
            review.set("status.authenticated", true);
            review.set("status.user", user_info(&user));
            review.set("status.audiences", audiences);
        }
        Err(error) => review.set("status.error", error.to_string()),
    }
    Ok(review)
}
