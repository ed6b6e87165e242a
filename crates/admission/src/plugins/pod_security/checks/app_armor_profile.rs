//! AppArmor's default profile, or one of the node's, but not none.

use meta::text::quoted;

use super::{Pod, Values, Violation, against, listed, plural};

const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let mut values = Values::new();
    let setters = pod.setters(|security| {
        let profile = security.get("appArmorProfile").map(|profile| profile.text("type"));
        let bad = profile.filter(|profile| !matches!(*profile, "RuntimeDefault" | "Localhost"));
        values.extend(bad);
        bad.is_some()
    });
    let annotations = pod.metadata.at("annotations");
    let allowed = |value: &str| matches!(value, "" | "runtime/default") || value.starts_with("localhost/");
    let bad = annotations.pairs().filter(|(key, value)| key.starts_with(ANNOTATION) && !allowed(value));
    let mut annotations: Vec<String> = bad.map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    annotations.sort();
    let also = (!annotations.is_empty()).then(|| plural("annotation", annotations.len()));
    let who: Vec<String> = Some(setters).filter(|setters| !setters.is_empty()).into_iter().chain(also).collect();
    if who.is_empty() {
        return None;
    }
    let all: Vec<&str> = values.iter().copied().chain(annotations.iter().map(String::as_str)).collect();
    let detail = format!("{} must not set AppArmor profile type to {}", who.join(" and "), listed(&all));
    against(&plural("forbidden AppArmor profile", all.len()), detail)
}
