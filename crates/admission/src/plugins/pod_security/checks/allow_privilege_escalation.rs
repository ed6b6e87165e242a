//! Nobody gets more rights than the container began with: it has to say so.

use super::{Pod, Violation, against, named};

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let bad = pod.where_container(|c| c.at("securityContext").at("allowPrivilegeEscalation").bool() != Some(false));
    if bad.is_empty() {
        return None;
    }
    let who = named("container", &bad);
    against("allowPrivilegeEscalation != false", format!("{who} must set securityContext.allowPrivilegeEscalation=false"))
}
