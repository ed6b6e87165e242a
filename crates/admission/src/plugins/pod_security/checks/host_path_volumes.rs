//! The node's files are not the pod's.

use super::{Pod, Violation, against, named};

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let volumes = pod.spec.each("volumes").filter(|volume| volume.has("hostPath"));
    let bad: Vec<&str> = volumes.map(|volume| volume.text("name")).collect();
    if bad.is_empty() { None } else { against("hostPath volumes", named("volume", &bad)) }
}
