//! The node's ports are not the pod's.

use std::collections::BTreeSet;

use super::{Pod, Violation, against, named, plural};

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    // As text: the order in which upstream's message has them.
    let mut ports = BTreeSet::new();
    let bad = pod.where_container(|container| {
        let taken: Vec<i64> = container.each("ports").map(|port| port.number("hostPort")).filter(|port| *port != 0).collect();
        ports.extend(taken.iter().map(i64::to_string));
        !taken.is_empty()
    });
    if bad.is_empty() {
        return None;
    }
    let (who, uses) = (named("container", &bad), if bad.len() == 1 { "uses" } else { "use" });
    let listed = ports.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    against("hostPort", format!("{who} {uses} {} {listed}", plural("hostPort", ports.len())))
}
