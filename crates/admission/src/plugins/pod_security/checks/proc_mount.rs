//! What is hidden of `/proc` stays hidden.

use super::{Pod, Values, Violation, against, listed, named};

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let mut others = Values::new();
    let bad = pod.where_container(|container| {
        let mount = container.at("securityContext").get("procMount").map(|mount| mount.str());
        let other = mount.filter(|mount| *mount != "Default");
        others.extend(other);
        other.is_some()
    });
    if bad.is_empty() {
        return None;
    }
    let who = named("container", &bad);
    against("procMount", format!("{who} must not set securityContext.procMount to {}", listed(&others)))
}
