//! CertificateSigningRequest: somebody asks a signer for a certificate (upstream: `pkg/registry/certificates/certificates`).

mod request;
#[cfg(test)]
mod tests;
mod valid;

use meta::field::Errors;
use meta::{Object, User, text, time};
use serde_json::{Value, json};

use crate::Now;
use crate::descriptor::{CHANGE, Descriptor};
use crate::print::{AGE, NAME, or};
use crate::rules::{Column, Context, Rules, Word, age};
use crate::tree::restore;
use crate::view::View;

pub use request::{Subject, subject};

/// Types of conditions that mean something to the server.
const APPROVED: &str = "Approved";
const DENIED: &str = "Denied";
const FAILED: &str = "Failed";

static COLUMNS: [Column; 6] = [
    NAME,
    AGE,
    crate::print::text("SignerName", "Who is asked"),
    crate::print::text("Requestor", "Who asks"),
    crate::print::text("RequestedDuration", "How long the certificate is to be valid"),
    crate::print::text("Condition", "What has become of the request"),
];

struct CertificateSigningRequest;

/// What is served.
pub fn descriptor() -> Descriptor {
    let rules = CertificateSigningRequest;
    let made = Descriptor::builtin("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", rules);
    made.cluster_scoped().short("csr").sub("approval", CHANGE).sub("status", CHANGE)
}

impl Rules for CertificateSigningRequest {
    /// Whatever a client says of whom it is, the server knows better.
    fn prepare_create(&self, object: &mut Object, context: &Context) {
        identify(object, &context.user);
        object.set("status", json!({}));
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "spec");
        restore(new, old, "status");
    }

    fn prepare_subresource(&self, subresource: &str, new: &mut Object, old: &Object, context: &Context) {
        restore(new, old, "spec");
        if subresource == "approval" {
            date(new, old, context);
            let conditions = new.at("status.conditions").cloned();
            restore(new, old, "status");
            match conditions {
                Some(conditions) => new.set("status.conditions", conditions),
                None => drop(new.remove("status.conditions")),
            }
            return;
        }
        [APPROVED, DENIED].into_iter().for_each(|kind| keep(new, old, kind));
        date(new, old, context);
    }

    fn validate(&self, object: &Object) -> Errors {
        valid::create(object)
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        valid::update("", new, old)
    }

    fn validate_subresource(&self, subresource: &str, new: &Object, old: &Object) -> Errors {
        valid::update(subresource, new, old)
    }

    /// Anything that fits into a path.
    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        text::path_segment(name, prefix)
    }

    fn kept_by(&self, subresource: &str) -> Option<&'static [&'static [&'static str]]> {
        Some(match subresource {
            "status" => &[&["spec"], &["status", "conditions"]],
            "approval" => &[&["spec"], &["status", "certificate"]],
            _ => &[&["spec"], &["status"]],
        })
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        vec![("spec.signerName".into(), object.str_at("spec.signerName").to_owned())]
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let duration = object.i64_at("spec.expirationSeconds").map_or_else(|| "<none>".to_owned(), time::human);
        vec![
            object.name().into(),
            age(object, now).into(),
            or(object.str_at("spec.signerName"), "<none>").into(),
            object.str_at("spec.username").into(),
            duration.into(),
            condition(object).into(),
        ]
    }
}

/// Says who asks.
fn identify(object: &mut Object, user: &User) {
    for field in ["username", "uid", "groups", "extra"] {
        object.remove(&format!("spec.{field}"));
    }
    let mut put = |field: &str, value: Value| object.set(&format!("spec.{field}"), value);
    if !user.name.is_empty() {
        put("username", (&*user.name).into());
    }
    if !user.uid.is_empty() {
        put("uid", (&*user.uid).into());
    }
    if !user.groups.is_empty() {
        put("groups", user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        put("extra", json!(user.extra));
    }
}

/// All conditions of a type.
fn named<'a>(object: &'a Object, kind: &str) -> Vec<&'a Value> {
    object.list_at("status.conditions").iter().filter(|condition| condition["type"] == kind).collect()
}

/// An update of the status leaves conditions of a type as they are, unless there are more or fewer of them: that is refused.
fn keep(new: &mut Object, old: &Object, kind: &str) {
    let before: Vec<Value> = named(old, kind).into_iter().cloned().collect();
    if named(new, kind).len() != before.len() {
        return;
    }
    let Some(all) = new.at_mut("status.conditions").and_then(Value::as_array_mut) else { return };
    let places = all.iter_mut().filter(|condition| condition["type"] == kind);
    places.zip(before).for_each(|(place, before)| *place = before);
}

/// Fills in when conditions came and changed.
fn date(new: &mut Object, old: &Object, context: &Context) {
    let now = Value::from(time::seconds(context.now));
    let empty = |value: &Value| value.as_str().is_none_or(str::is_empty);
    let before = old.list_at("status.conditions");
    for condition in new.at_mut("status.conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if !condition.is_object() {
            continue;
        }
        if empty(&condition["lastUpdateTime"]) {
            condition["lastUpdateTime"] = now.clone();
        }
        if empty(&condition["lastTransitionTime"]) {
            let same = |old: &&Value| old["type"] == condition["type"] && old["status"] == condition["status"];
            let known = before.iter().filter(same).map(|old| &old["lastTransitionTime"]).find(|time| !empty(time));
            condition["lastTransitionTime"] = known.unwrap_or(&now).clone();
        }
    }
}

/// What has become of it, in a word or two.
fn condition(object: &Object) -> String {
    let has = |kind: &str| View::of(object, "status").each("conditions").any(|condition| condition.text("type") == kind);
    let mut word = match (has(DENIED), has(APPROVED)) {
        (true, _) => "Denied".to_owned(),
        (false, true) => "Approved".to_owned(),
        (false, false) => "Pending".to_owned(),
    };
    if has(FAILED) {
        word.push_str(",Failed");
    }
    if !object.str_at("status.certificate").is_empty() {
        word.push_str(",Issued");
    }
    word
}
