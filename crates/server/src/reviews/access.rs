//! What the three questions "may they?" have in common (upstream: `apis/authorization/validation`,
//! `registry/authorization/util`).

use auth::Verdict;
use meta::field::Error;
use meta::{Attributes, Info, Object, Status, User};
use serde_json::Value;

use super::{selectors, strings};
use crate::verbs::Work;

/// 422 if anything is wrong with the question. Upstream names no kind there.
pub fn check(work: &Work<'_>, review: &Object) -> Result<(), Status> {
    let errors = work.kind.rules.validate(review);
    if errors.is_empty() {
        return Ok(());
    }
    let show = |error: &Error| work.kind.schema.encode_at(&error.path.to_string(), &error.value);
    Err(Status::invalid_showing(&work.kind.gvk.group, "", "", &errors, &show))
}

/// The user that a question is about.
pub fn subject(review: &Object) -> User {
    let extra = review.at("spec.extra").and_then(Value::as_object).into_iter().flatten();
    Info {
        name: review.str_at("spec.user").to_owned(),
        uid: review.str_at("spec.uid").to_owned(),
        groups: strings(review.list_at("spec.groups")),
        extra: extra.map(|(k, v)| (k.clone(), strings(v.as_array().map_or(&[], Vec::as_slice)))).collect(),
    }
    .into()
}

/// Puts the decision into the status.
pub fn decide(work: &Work<'_>, mut review: Object, user: User) -> Object {
    let authorization = &work.ask.state.authorization;
    review.remove("status");
    let decision = authorization.authorize(&attributes(&review, user));
    let ignored = selectors::ignored(&review);
    review.set("status.allowed", decision.allowed());
    if decision.verdict == Verdict::Deny {
        review.set("status.denied", true);
    }
    if !decision.reason.is_empty() {
        review.set("status.reason", &*decision.reason);
    }
    if !ignored.is_empty() {
        review.set("status.evaluationError", ignored);
    }
    review
}

fn attributes(review: &Object, user: User) -> Attributes {
    let of_resource = |field: &str| review.str_at(&format!("spec.resourceAttributes.{field}")).to_owned();
    if review.at("spec.resourceAttributes").is_none() {
        return Attributes {
            user,
            verb: review.str_at("spec.nonResourceAttributes.verb").to_owned(),
            path: review.str_at("spec.nonResourceAttributes.path").to_owned(),
            ..Attributes::default()
        };
    }
    let version = Some(of_resource("version")).filter(|v| !v.is_empty());
    Attributes {
        user,
        verb: of_resource("verb"),
        group: of_resource("group"),
        version: version.unwrap_or_else(|| "*".to_owned()),
        resource: of_resource("resource"),
        subresource: of_resource("subresource"),
        namespace: of_resource("namespace"),
        name: of_resource("name"),
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_question_says_who_and_what() {
        let spec = json!({"spec": {"user": "a", "resourceAttributes": {"verb": "get", "resource": "pods"}}});
        let good = Object::from_value(spec).expect("object");
        let a = attributes(&good, subject(&good));
        assert_eq!((&*a.user.name, &*a.verb, &*a.resource, &*a.version), ("a", "get", "pods", "*"));
    }
}
