//! SelfSubjectRulesReview: everything that the caller may do in a namespace.

use auth::authz::Rule;
use meta::{Object, Status};
use serde_json::{Value, json};

use crate::verbs::Work;

/// Answers.
pub async fn run(work: &Work<'_>, question: Object) -> Result<Object, Status> {
    let namespace = question.str_at("spec.namespace").to_owned();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let mut review = Object::default();
    review.set_gvk(&question.gvk());
    let found = work.ask.state.authorization.rules(&work.attributes().user, &namespace);
    let (paths, resources): (Vec<&Rule>, Vec<&Rule>) =
        found.rules.iter().partition(|r| !r.non_resource_urls.is_empty());
    let values = |rules: Vec<&Rule>| rules.into_iter().map(Rule::to_value).collect::<Vec<Value>>();
    review.set(
        "status",
        json!({
            "resourceRules": values(resources),
            "nonResourceRules": values(paths),
            "incomplete": found.incomplete,
        }),
    );
    if !found.errors.is_empty() {
        review.set("status.evaluationError", found.errors.join(", "));
    }
    Ok(review)
}
