//! No container has all of the node's rights.

use super::{Pod, Violation, against, named};

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let bad = pod.where_container(|container| container.at("securityContext").flag("privileged"));
    if bad.is_empty() {
        return None;
    }
    against("privileged", format!("{} must not set securityContext.privileged=true", named("container", &bad)))
}
