//! SELinux: types that are made for containers, and no user or role.

use super::{Pod, Values, Violation, against, named};

const TYPES: &[&str] = &["", "container_t", "container_init_t", "container_kvm_t"];

pub(super) fn since_0(pod: &Pod<'_>) -> Option<Violation> {
    ask(pod, |kind| TYPES.contains(&kind))
}

pub(super) fn since_31(pod: &Pod<'_>) -> Option<Violation> {
    ask(pod, |kind| TYPES.contains(&kind) || kind == "container_engine_t")
}

fn ask(pod: &Pod<'_>, allowed: impl Fn(&str) -> bool) -> Option<Violation> {
    let (mut types, mut user, mut role) = (Values::new(), false, false);
    let who = pod.setters(|security| {
        let options = security.at("seLinuxOptions");
        let kind = Some(options.text("type")).filter(|kind| !allowed(kind));
        let (has_user, has_role) = (!options.text("user").is_empty(), !options.text("role").is_empty());
        types.extend(kind);
        (user, role) = (user || has_user, role || has_role);
        kind.is_some() || has_user || has_role
    });
    if who.is_empty() {
        return None;
    }
    let types: Vec<&str> = types.into_iter().collect();
    let types = (!types.is_empty()).then(|| named("type", &types));
    let user = user.then(|| "user may not be set".to_owned());
    let role = role.then(|| "role may not be set".to_owned());
    let what: Vec<String> = [types, user, role].into_iter().flatten().collect();
    against("seLinuxOptions", format!("{who} set forbidden securityContext.seLinuxOptions: {}", what.join("; ")))
}
