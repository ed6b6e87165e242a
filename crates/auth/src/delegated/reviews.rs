//! The review objects, written and read.

use meta::{Attributes, Info, Object, User};
use serde_json::{Map, Value, json};

use crate::Decision;

pub(super) fn token(token: &str) -> Object {
    object(json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": token},
    }))
}

/// The user of an answered TokenReview.
pub(super) fn user(review: &Object) -> Result<User, String> {
    if review.bool_at("status.authenticated") != Some(true) {
        let error = review.str_at("status.error");
        return Err(if error.is_empty() { "invalid bearer token".to_owned() } else { error.to_owned() });
    }
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let extra = review.at("status.user.extra").and_then(Value::as_object);
    let info = Info {
        name: review.str_at("status.user.username").to_owned(),
        uid: review.str_at("status.user.uid").to_owned(),
        groups: review.at("status.user.groups").map(strings).unwrap_or_default(),
        extra: extra.into_iter().flatten().map(|(key, values)| (key.clone(), strings(values))).collect(),
    };
    Ok(info.into())
}

pub(super) fn access(a: &Attributes) -> Object {
    let mut spec = Map::new();
    let mut put = |field: &str, value: Value| {
        spec.insert(field.to_owned(), value);
    };
    if a.is_resource() {
        put(
            "resourceAttributes",
            filled(&[
                ("namespace", &a.namespace),
                ("verb", &a.verb),
                ("group", &a.group),
                ("version", &a.version),
                ("resource", &a.resource),
                ("subresource", &a.subresource),
                ("name", &a.name),
            ]),
        );
    } else {
        put("nonResourceAttributes", filled(&[("path", &a.path), ("verb", &a.verb)]));
    }
    put("user", a.user.name.as_str().into());
    put("uid", a.user.uid.as_str().into());
    put("groups", a.user.groups.as_slice().into());
    put("extra", a.user.extra.iter().map(|(k, v)| (k.clone(), Value::from(v.as_slice()))).collect());
    object(json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": spec,
    }))
}

/// The decision of an answered SubjectAccessReview.
pub(super) fn decision(review: &Object) -> Decision {
    let reason = review.str_at("status.reason");
    if review.bool_at("status.allowed") == Some(true) { Decision::allow(reason) } else { Decision::no_opinion(reason) }
}

fn filled(fields: &[(&str, &String)]) -> Value {
    let set = fields.iter().filter(|(_, value)| !value.is_empty());
    set.map(|(field, value)| ((*field).to_owned(), Value::from(value.as_str()))).collect()
}

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap_or_else(|_| unreachable!("the literals here are objects"))
}
