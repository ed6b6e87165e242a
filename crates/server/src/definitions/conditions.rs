//! Conditions of a CustomResourceDefinition (upstream: `apiextensions-apiserver/pkg/apihelpers`).

use jiff::Timestamp;
use meta::Object;
use serde_json::{Value, json};

/// The annotation of definitions in groups that are the community's.
const APPROVED: &str = "api-approved.kubernetes.io";
const SEE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";

/// Whether a condition is true.
pub fn is_true(definition: &Object, kind: &str) -> bool {
    find(definition, kind).is_some_and(|condition| condition["status"] == "True")
}

/// The condition of a type.
pub fn find<'a>(definition: &'a Object, kind: &str) -> Option<&'a Value> {
    definition.list_at("status.conditions").iter().find(|condition| condition["type"] == kind)
}

/// Sets a condition; its time changes with its status alone.
pub fn set(definition: &mut Object, kind: &str, status: &str, reason: &str, message: &str) {
    let now = Value::from(meta::time::seconds(Timestamp::now()));
    let old = find(definition, kind);
    let time = old.filter(|old| old["status"] == status).map_or(now, |old| old["lastTransitionTime"].clone());
    let new = json!({"type": kind, "status": status, "lastTransitionTime": time, "reason": reason, "message": message});
    let mut all = definition.list_at("status.conditions").to_vec();
    match all.iter_mut().find(|condition| condition["type"] == kind) {
        Some(old) => {
            // What others say beside it stays.
            if let (Value::Object(old), Value::Object(new)) = (old, new) {
                old.extend(new);
            }
        }
        None => all.push(new),
    }
    definition.set("status.conditions", all);
}

/// Takes a condition away.
pub fn remove(definition: &mut Object, kind: &str) {
    let left: Vec<Value> =
        definition.list_at("status.conditions").iter().filter(|condition| condition["type"] != kind).cloned().collect();
    definition.set("status.conditions", left);
}

/// Says whether a definition in a group of the community's has its approval; other groups need none.
pub fn approval(definition: &mut Object) {
    const KIND: &str = "KubernetesAPIApprovalPolicyConformant";
    let group = definition.str_at("spec.group");
    let is_in = |domain: &str| group == domain || group.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    if !is_in("k8s.io") && !is_in("kubernetes.io") {
        return remove_if_there(definition, KIND);
    }
    let given = definition.annotation(APPROVED).unwrap_or_default().to_owned();
    let quoted = meta::text::quoted(&given);
    let demand = format!("protected groups must have approval annotation {}", meta::text::quoted(APPROVED));
    let (status, reason, message) = match () {
        () if given.is_empty() => ("False", "MissingAnnotation", format!("{demand}, {SEE}")),
        () if given.starts_with("unapproved") => ("False", "UnapprovedAnnotation", format!("not approved: {quoted}")),
        () if is_url(&given) => ("True", "ApprovedAnnotation", format!("approved in {given}")),
        () => {
            let more = r#"with either a URL or a reason starting with "unapproved""#;
            ("False", "InvalidAnnotation", format!("{demand} {more}, {SEE}"))
        }
    };
    set(definition, KIND, status, reason, &message);
}

fn remove_if_there(definition: &mut Object, kind: &str) {
    if find(definition, kind).is_some() {
        remove(definition, kind);
    }
}

/// Whether it names a scheme and a host.
fn is_url(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(group: &str, approved: &str) -> Object {
        let mut made = Object::default();
        made.set("spec.group", group);
        if !approved.is_empty() {
            made.set("metadata.annotations", json!({APPROVED: approved}));
        }
        approval(&mut made);
        made
    }

    #[test]
    fn groups_of_the_community_are_approved() {
        let reason = |group: &str, approved: &str| {
            let made = definition(group, approved);
            find(&made, "KubernetesAPIApprovalPolicyConformant").map(|c| c["reason"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(reason("example.com", ""), None);
        assert_eq!(reason("notk8s.io", ""), None);
        assert_eq!(reason("gateway.networking.k8s.io", "").as_deref(), Some("MissingAnnotation"));
        assert_eq!(reason("k8s.io", "unapproved, test-only").as_deref(), Some("UnapprovedAnnotation"));
        assert_eq!(reason("x.kubernetes.io", "https://github.com/x/y/pull/1").as_deref(), Some("ApprovedAnnotation"));
        assert_eq!(reason("x.kubernetes.io", "because").as_deref(), Some("InvalidAnnotation"));
    }

    #[test]
    fn a_time_changes_with_the_status() {
        let mut made = definition("example.com", "");
        set(&mut made, "Established", "False", "A", "a");
        let path = "status.conditions";
        made.set(path, json!([{"type": "Established", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z", "observedGeneration": 3}]));
        set(&mut made, "Established", "False", "B", "b");
        let condition = find(&made, "Established").cloned().unwrap_or_default();
        assert_eq!((&condition["lastTransitionTime"], &condition["reason"]), (&json!("2020-01-01T00:00:00Z"), &json!("B")));
        assert_eq!(condition["observedGeneration"], 3);
        set(&mut made, "Established", "True", "B", "b");
        assert!(is_true(&made, "Established"));
        assert_ne!(find(&made, "Established").map(|c| c["lastTransitionTime"].clone()), Some(json!("2020-01-01T00:00:00Z")));
    }
}
