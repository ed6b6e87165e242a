//! Seccomp: the runtime's profile, or one of the node's; the stricter level asks for one of them.

use std::collections::BTreeSet;

use kinds::view::View;
use meta::text::quoted;

use super::{Pod, Values, Violation, against, listed, named, plural};

const REASON: &str = "seccompProfile";
const OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// Before there were fields.
pub(super) fn annotations(pod: &Pod<'_>) -> Option<Violation> {
    let all = pod.metadata.at("annotations");
    let names = pod.containers().map(|container| format!("{OF_CONTAINER}{}", container.text("name")));
    let said = std::iter::once(OF_POD.to_owned()).chain(names).filter_map(|name| Some((all.get(&name)?.str(), name)));
    let allowed = |value: &str| matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
    let bad: BTreeSet<String> =
        said.filter(|(value, _)| !allowed(value)).map(|(value, name)| format!("{name}={}", quoted(value))).collect();
    if bad.is_empty() {
        return None;
    }
    let listed = bad.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    against(REASON, format!("forbidden {} {listed}", plural("annotation", bad.len())))
}

pub(super) fn baseline(pod: &Pod<'_>) -> Option<Violation> {
    let mut values = Values::new();
    let who = pod.setters(|security| {
        let bad = profile(security).filter(|profile| !is_allowed(profile));
        values.extend(bad);
        bad.is_some()
    });
    if who.is_empty() {
        return None;
    }
    against(REASON, format!("{who} must not set securityContext.seccompProfile.type to {}", listed(&values)))
}

pub(super) fn restricted(pod: &Pod<'_>) -> Option<Violation> {
    if let Some(bad) = baseline(pod) {
        return Some(bad);
    }
    if profile(&pod.security()).is_some() {
        return None;
    }
    let silent = pod.where_container(|container| profile(&container.at("securityContext")).is_none());
    if silent.is_empty() {
        return None;
    }
    let who = named("container", &silent);
    let what = r#"must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost""#;
    against(REASON, format!("pod or {who} {what}"))
}

fn profile<'a>(security: &View<'a>) -> Option<&'a str> {
    security.get("seccompProfile").map(|profile| profile.text("type"))
}

fn is_allowed(profile: &str) -> bool {
    matches!(profile, "RuntimeDefault" | "Localhost")
}
