//! Packing endpoints into slices, touching as few slices as possible.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::desired::Group;
use crate::owners;

/// Endpoints in one slice at most (upstream: `--max-endpoints-per-slice`).
const CAPACITY: usize = 100;

/// One slice to write.
#[derive(Debug)]
pub enum Change {
    /// A new one.
    Create(EndpointSlice),
    /// One whose content changes.
    Update(EndpointSlice),
    /// One that is empty.
    Delete(EndpointSlice),
}

struct Slice<'a> {
    was: &'a EndpointSlice,
    endpoints: Vec<Endpoint>,
    changed: bool,
}

/// The writes that bring the existing slices to the wanted endpoints and labels.
pub fn pack(
    service: &Service,
    groups: Vec<Group>,
    existing: &[&EndpointSlice],
    labels: &BTreeMap<String, String>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut used = vec![false; existing.len()];
    let mut creates = Vec::new();
    for group in groups {
        let mut slices = Vec::new();
        for (at, slice) in existing.iter().enumerate() {
            let empty = group.endpoints.is_empty() && slice.endpoints.as_ref().is_none_or(Vec::is_empty);
            if !used[at] && slice.address_type == group.family && (empty || same_ports(slice, &group.ports)) {
                used[at] = true;
                slices.push(Slice { was: slice, endpoints: Vec::new(), changed: false });
            }
        }
        fill(service, group, slices, labels, &mut changes, &mut creates);
    }
    // A slice that would go is better used for one that would come.
    let mut unused = existing.iter().zip(used).filter(|(_, used)| !used).map(|(slice, _)| *slice);
    for mut slice in creates {
        match unused.by_ref().find(|old| old.address_type == slice.address_type) {
            Some(old) => {
                let owned_labels = slice.metadata.labels.take();
                slice.metadata = ObjectMeta { labels: owned_labels, ..old.metadata.clone() };
                changes.push(Change::Update(slice));
            }
            None => changes.push(Change::Create(slice)),
        }
    }
    changes.extend(unused.map(|slice| Change::Delete(slice.clone())));
    changes
}

fn fill(
    service: &Service,
    group: Group,
    mut slices: Vec<Slice>,
    labels: &BTreeMap<String, String>,
    changes: &mut Vec<Change>,
    creates: &mut Vec<EndpointSlice>,
) {
    let mut wanted: BTreeMap<String, Endpoint> = group.endpoints.into_iter().map(|e| (name(&e), e)).collect();
    for slice in &mut slices {
        let before = slice.was.endpoints.as_deref().unwrap_or_default();
        slice.endpoints = before.iter().filter_map(|e| wanted.remove(&name(e))).collect();
        slice.changed = slice.endpoints != before || slice.was.metadata.labels.as_ref() != Some(labels);
    }
    let mut rest: Vec<Endpoint> = wanted.into_values().collect();
    // First where a write is due anyway, then where all that is left fits best, then in new slices.
    for slice in slices.iter_mut().filter(|slice| slice.changed || slice.endpoints.is_empty()) {
        let room = CAPACITY.saturating_sub(slice.endpoints.len()).min(rest.len());
        slice.endpoints.extend(rest.drain(..room));
        slice.changed |= room > 0;
    }
    let fits = |slice: &&mut Slice| !rest.is_empty() && slice.endpoints.len() + rest.len() <= CAPACITY;
    if let Some(slice) = slices.iter_mut().filter(fits).max_by_key(|slice| slice.endpoints.len()) {
        slice.endpoints.append(&mut rest);
        slice.changed = true;
    }
    let blank = |endpoints: Vec<Endpoint>| EndpointSlice {
        metadata: metadata(service, labels),
        address_type: group.family.to_owned(),
        endpoints: Some(endpoints),
        ports: Some(group.ports.clone()),
    };
    while !rest.is_empty() {
        let room = CAPACITY.min(rest.len());
        creates.push(blank(rest.drain(..room).collect()));
    }
    let full = !creates.is_empty() || slices.iter().any(|slice| !slice.endpoints.is_empty());
    if !full && slices.is_empty() {
        creates.push(blank(Vec::new()));
    }
    for (at, slice) in slices.into_iter().enumerate() {
        // An empty Service keeps one empty slice.
        if slice.endpoints.is_empty() && (full || at > 0) {
            changes.push(Change::Delete(slice.was.clone()));
        } else if slice.changed {
            let mut new = slice.was.clone();
            new.metadata.labels = Some(labels.clone());
            new.endpoints = Some(slice.endpoints);
            changes.push(Change::Update(new));
        }
    }
}

fn metadata(service: &Service, labels: &BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        generate_name: Some(format!("{}-", service.metadata.name.as_deref().unwrap_or(""))),
        namespace: service.metadata.namespace.clone(),
        labels: Some(labels.clone()),
        owner_references: Some(vec![owners::reference(service)]),
        ..ObjectMeta::default()
    }
}

/// What an endpoint is told by: its pod.
fn name(endpoint: &Endpoint) -> String {
    let uid = endpoint.target_ref.as_ref().and_then(|r| r.uid.clone());
    uid.unwrap_or_else(|| endpoint.addresses.join(","))
}

fn same_ports(slice: &EndpointSlice, ports: &[EndpointPort]) -> bool {
    let normal = |p: &EndpointPort| {
        (p.name.clone().unwrap_or_default(), p.port, p.protocol.clone(), p.app_protocol.clone())
    };
    let has = slice.ports.as_deref().unwrap_or_default();
    has.len() == ports.len() && has.iter().map(normal).eq(ports.iter().map(normal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(n: usize) -> Endpoint {
        Endpoint { addresses: vec![format!("10.0.{}.{}", n / 250, n % 250)], ..Endpoint::default() }
    }

    fn group(numbers: impl IntoIterator<Item = usize>) -> Vec<Group> {
        let endpoints = numbers.into_iter().map(endpoint).collect();
        vec![Group { family: "IPv4", ports: Vec::new(), endpoints }]
    }

    fn apply(slices: &mut Vec<EndpointSlice>, groups: Vec<Group>) -> usize {
        let (service, labels) = (Service::default(), BTreeMap::new());
        let existing: Vec<&EndpointSlice> = slices.iter().collect();
        let changes = pack(&service, groups, &existing, &labels);
        let count = changes.len();
        for change in changes {
            match change {
                Change::Create(mut slice) => {
                    slice.metadata.name = Some(format!("s{}", slices.len()));
                    slices.push(slice);
                }
                Change::Update(new) => {
                    let old = slices.iter_mut().find(|s| s.metadata.name == new.metadata.name).expect("known");
                    *old = new;
                }
                Change::Delete(old) => slices.retain(|s| s.metadata.name != old.metadata.name),
            }
        }
        count
    }

    #[test]
    fn few_writes_and_full_slices() {
        let mut slices = Vec::new();
        assert_eq!(apply(&mut slices, group([])), 1, "a placeholder");
        assert_eq!(apply(&mut slices, group([])), 0);
        assert_eq!(apply(&mut slices, group(0..250)), 3);
        assert_eq!(slices.iter().map(|s| s.endpoints.as_ref().map_or(0, Vec::len)).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(apply(&mut slices, group(0..250)), 0);
        assert_eq!(apply(&mut slices, group((0..250).filter(|n| *n != 5).chain([900]))), 1, "one leaves, one comes");
        assert_eq!(apply(&mut slices, group((0..240).filter(|n| *n != 5).chain([900, 901]))), 1);
        assert_eq!(apply(&mut slices, group([])), 3);
        assert_eq!(slices.len(), 1);
    }
}
