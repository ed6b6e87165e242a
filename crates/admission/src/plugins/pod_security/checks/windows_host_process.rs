//! No container of Windows is a process of the node.

use super::{Pod, Violation, against};

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let who = pod.setters(|security| security.at("windowsOptions").flag("hostProcess"));
    if who.is_empty() {
        return None;
    }
    against("hostProcess", format!("{who} must not set securityContext.windowsOptions.hostProcess=true"))
}
