//! The node's network, processes and shared memory are not the pod's.

use super::{Pod, Violation, against};

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| pod.spec.flag(field));
    against("host namespaces", shared.map(|field| format!("{field}=true")).collect::<Vec<_>>().join(", "))
}
