//! Nobody is root.

use super::{Pod, Violation, against, named};

pub(super) fn non_root(pod: &Pod<'_>) -> Option<Violation> {
    const REASON: &str = "runAsNonRoot != true";
    let said = |security: &kinds::view::View<'_>| security.at("runAsNonRoot").bool();
    let who = pod.setters(|security| said(security) == Some(false));
    if !who.is_empty() {
        return against(REASON, format!("{who} must not set securityContext.runAsNonRoot=false"));
    }
    if said(&pod.security()) == Some(true) {
        return None;
    }
    let silent = pod.where_container(|container| said(&container.at("securityContext")).is_none());
    if silent.is_empty() {
        return None;
    }
    against(REASON, format!("pod or {} must set securityContext.runAsNonRoot=true", named("container", &silent)))
}

pub(super) fn user(pod: &Pod<'_>) -> Option<Violation> {
    let who = pod.setters(|security| security.at("runAsUser").int() == Some(0));
    if who.is_empty() { None } else { against("runAsUser=0", format!("{who} must not set runAsUser=0")) }
}
