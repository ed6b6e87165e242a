//! Probes and hooks go to the pod itself: the node agent asks nobody else on a pod's behalf.

use std::collections::BTreeSet;

use super::{Pod, Values, Violation, against, listed, named, plural};

/// Where a container may name a host.
const PLACES: [&[&str]; 5] = [
    &["livenessProbe"],
    &["readinessProbe"],
    &["startupProbe"],
    &["lifecycle", "postStart"],
    &["lifecycle", "preStop"],
];

pub(super) fn ask(pod: &Pod<'_>) -> Option<Violation> {
    let mut hosts = Values::new();
    let bad: BTreeSet<&str> = pod
        .where_container(|container| {
            let places = PLACES.iter().map(|path| path.iter().fold(container.clone(), |at, name| at.at(name)));
            let named = places.flat_map(|place| ["httpGet", "tcpSocket"].map(|way| place.at(way).text("host")));
            let named: Vec<&str> = named.filter(|host| !host.is_empty()).collect();
            hosts.extend(&named);
            !named.is_empty()
        })
        .into_iter()
        .collect();
    if bad.is_empty() {
        return None;
    }
    let bad: Vec<&str> = bad.into_iter().collect();
    let (who, uses) = (named("container", &bad), if bad.len() == 1 { "uses" } else { "use" });
    let what = plural("probe or lifecycle host", hosts.len());
    against("probe or lifecycle host", format!("{who} {uses} {what} {}", listed(&hosts)))
}
