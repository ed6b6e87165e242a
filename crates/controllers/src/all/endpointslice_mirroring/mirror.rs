//! The writes that make slices say what Endpoints say: one slice for each group.

use std::collections::{BTreeMap, VecDeque};

use k8s_openapi::api::core::v1::{Endpoints, ObjectReference};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::subsets::{Group, identity};
use super::{MANAGED_BY, MANAGER, SERVICE};
use crate::{owners, services};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One slice to write.
#[derive(Debug, PartialEq)]
pub enum Change {
    /// A new one.
    Create(EndpointSlice),
    /// One that says something else now.
    Update(EndpointSlice),
    /// One that is too much.
    Delete(EndpointSlice),
}

/// The writes, given the slices that there are.
pub fn changes(endpoints: &Endpoints, groups: Vec<Group>, existing: &[&EndpointSlice]) -> Vec<Change> {
    let (mut changes, mut creates) = (Vec::new(), Vec::new());
    let mut by_ports: BTreeMap<Ports, VecDeque<&EndpointSlice>> = BTreeMap::new();
    for slice in existing {
        by_ports.entry(ports(&slice.address_type, slice.ports.as_deref())).or_default().push_back(slice);
    }
    for group in groups {
        match by_ports.get_mut(&ports(group.family, Some(&group.ports))).and_then(VecDeque::pop_front) {
            Some(was) => {
                let new = slice(endpoints, group, Some(was));
                if !is_same(endpoints, was, &new) {
                    changes.push(Change::Update(new));
                }
            }
            None => creates.push(group),
        }
    }
    let mut unused: Vec<&EndpointSlice> = by_ports.into_values().flatten().collect();
    // A slice that would go is better used for one that would come.
    for group in creates {
        let old = unused.iter().position(|slice| slice.address_type == group.family);
        changes.push(match old.map(|at| unused.remove(at)) {
            Some(old) => Change::Update(slice(endpoints, group, Some(old))),
            None => Change::Create(slice(endpoints, group, None)),
        });
    }
    changes.extend(unused.into_iter().map(|slice| Change::Delete(slice.clone())));
    changes
}

/// A slice in place of an old one, or a new one.
fn slice(endpoints: &Endpoints, group: Group, old: Option<&EndpointSlice>) -> EndpointSlice {
    let name = endpoints.metadata.name.clone().unwrap_or_default();
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE.to_owned(), name.clone());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    let annotations = annotations(endpoints);
    let metadata = ObjectMeta {
        namespace: endpoints.metadata.namespace.clone(),
        generate_name: old.is_none().then(|| format!("{name}-")),
        labels: Some(labels),
        annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
        owner_references: Some(vec![owners::reference(endpoints)]),
        ..old.map(identified).unwrap_or_default()
    };
    let Group { family, ports, endpoints } = group;
    EndpointSlice { metadata, address_type: family.to_owned(), endpoints: Some(endpoints), ports: Some(ports) }
}

/// The part of the metadata that says which slice it is.
fn identified(slice: &EndpointSlice) -> ObjectMeta {
    ObjectMeta {
        name: slice.metadata.name.clone(),
        uid: slice.metadata.uid.clone(),
        resource_version: slice.metadata.resource_version.clone(),
        ..ObjectMeta::default()
    }
}

/// The annotations that are mirrored: all but those about the Endpoints themselves.
fn annotations(endpoints: &Endpoints) -> BTreeMap<String, String> {
    let mut annotations = endpoints.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|name, _| name != services::TRIGGER_TIME && name != LAST_APPLIED);
    annotations
}

fn is_same(of: &Endpoints, was: &EndpointSlice, new: &EndpointSlice) -> bool {
    let earlier = |owner: &OwnerReference| {
        owner.kind == "Endpoints" && Some(&owner.name) == of.metadata.name.as_ref() && Some(&owner.uid) != of.metadata.uid.as_ref()
    };
    let annotated = |slice: &EndpointSlice| slice.metadata.annotations.clone().unwrap_or_default();
    was.metadata.labels == new.metadata.labels
        && annotated(was) == annotated(new)
        && !was.metadata.owner_references.iter().flatten().any(earlier)
        && same_endpoints(was.endpoints.as_deref().unwrap_or_default(), new.endpoints.as_deref().unwrap_or_default())
}

/// Whether both say the same, in whatever order.
fn same_endpoints(was: &[Endpoint], new: &[Endpoint]) -> bool {
    let by_identity = |list: &[Endpoint]| -> Vec<Endpoint> {
        let mut list = list.to_vec();
        list.sort_by(|a, b| identity(a).cmp(&identity(b)));
        list
    };
    let same = |(was, new): (&Endpoint, &Endpoint)| {
        identity(was) == identity(new)
            && was.node_name == new.node_name
            && was.zone == new.zone
            && was.conditions.clone().unwrap_or_default() == new.conditions.clone().unwrap_or_default()
            && versionless(was) == versionless(new)
    };
    was.len() == new.len() && by_identity(was).iter().zip(&by_identity(new)).all(same)
}

/// What an endpoint belongs to, in whatever state that is.
fn versionless(endpoint: &Endpoint) -> Option<ObjectReference> {
    let mut target = endpoint.target_ref.clone()?;
    target.resource_version = None;
    Some(target)
}

/// What slices are told apart by: family and ports, in whatever order.
type Ports = (String, Vec<(Option<String>, Option<i32>, Option<String>, Option<String>)>);

fn ports(family: &str, ports: Option<&[EndpointPort]>) -> Ports {
    let key = |p: &EndpointPort| (p.name.clone(), p.port, p.protocol.clone(), p.app_protocol.clone());
    let mut keys: Vec<_> = ports.unwrap_or_default().iter().map(key).collect();
    keys.sort();
    (family.to_owned(), keys)
}
