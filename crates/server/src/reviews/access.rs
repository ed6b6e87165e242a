//! What the three questions "may they?" have in common (upstream: `apis/authorization/validation`,
//! `registry/authorization/util`).

use auth::{Authorization, Verdict};
use meta::field::{Error, Errors, Path};
use meta::{Attributes, Object, Status, User};
use serde_json::{Map, Value};

use super::strings;

/// All that is wrong with the question. `named`: it must say who.
pub fn check(review: &Object, named: bool) -> Errors {
    let spec = Path::new("spec");
    let (resource, path) = (review.at("spec.resourceAttributes"), review.at("spec.nonResourceAttributes"));
    let mut errors = Vec::new();
    if let (Some(_), Some(path)) = (resource, path) {
        let why = "cannot be specified in combination with resourceAttributes";
        errors.push(Error::invalid(&spec.child("nonResourceAttributes"), path.clone(), why));
    }
    if resource.is_none() && path.is_none() {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(Error::invalid(&spec.child("resourceAttributes"), Value::Null, why));
    }
    if named && review.str_at("spec.user").is_empty() && review.list_at("spec.groups").is_empty() {
        let why = "at least one of user or group must be specified";
        errors.push(Error::invalid(&spec.child("user"), "", why));
    }
    errors
}

/// Refuses metadata beyond the fields in `allowed`.
pub fn check_metadata(review: &Object, allowed: &[&str], why: &str, errors: &mut Errors) {
    let metadata = review.at("metadata").and_then(Value::as_object);
    let other = metadata.into_iter().flatten().any(|(k, v)| {
        let ignored = k == "managedFields" || k == "creationTimestamp" || allowed.contains(&k.as_str());
        !ignored && !v.is_null()
    });
    if other {
        let shown = metadata.cloned().unwrap_or_else(Map::new);
        errors.push(Error::invalid(&Path::new("metadata"), Value::Object(shown), why));
    }
}

/// 422 if anything is wrong.
pub fn refuse(review: &Object, errors: &[Error]) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid("authorization.k8s.io", review.kind(), "", errors)) }
}

/// The user that a question is about.
pub fn subject(review: &Object) -> User {
    let extra = review.at("spec.extra").and_then(Value::as_object).into_iter().flatten();
    User {
        name: review.str_at("spec.user").to_owned(),
        uid: review.str_at("spec.uid").to_owned(),
        groups: strings(review.list_at("spec.groups")),
        extra: extra.map(|(k, v)| (k.clone(), strings(v.as_array().map_or(&[], Vec::as_slice)))).collect(),
    }
}

/// Puts the decision into the status.
pub fn decide(mut review: Object, user: User, authorization: &Authorization) -> Object {
    let decision = authorization.authorize(&attributes(&review, user));
    review.set("status.allowed", decision.allowed());
    if decision.verdict == Verdict::Deny {
        review.set("status.denied", true);
    }
    if !decision.reason.is_empty() {
        review.set("status.reason", decision.reason);
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
        let read = |tree| Object::from_value(tree).expect("object");
        let empty = check(&read(json!({"spec": {}})), true);
        assert_eq!(empty.len(), 2);
        let good = read(json!({"spec": {"user": "a", "resourceAttributes": {"verb": "get", "resource": "pods"}}}));
        assert!(check(&good, true).is_empty());
        let a = attributes(&good, subject(&good));
        assert_eq!((&*a.user.name, &*a.verb, &*a.resource, &*a.version), ("a", "get", "pods", "*"));
    }
}
