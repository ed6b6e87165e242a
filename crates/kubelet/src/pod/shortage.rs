//! What a pod asks for, and what of it the node has left beside the others (upstream: `noderesources.Fits`). Pure.

use std::sync::Arc;

use ::pod::Side;
use ::pod::resources::total;
use k8s_openapi::api::core::v1::{Node, Pod};
use meta::Quantity;

use super::admit::Refusal;
use crate::spec;

/// The others that still take something.
pub fn beside<'a>(pod: &'a Pod, others: &'a [Arc<Pod>]) -> impl Iterator<Item = &'a Arc<Pod>> {
    others.iter().filter(|p| spec::uid(p) != spec::uid(pod) && !spec::is_terminal(p))
}

/// A resource of which the node has not enough left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Its name.
    pub resource: String,
    /// What the pod asks for, in thousandths for CPU.
    pub requested: i64,
    /// What the others have.
    pub used: i64,
    /// What there is.
    pub capacity: i64,
}

impl Shortage {
    /// As upstream tells it.
    pub fn refusal(&self) -> Refusal {
        let Shortage { resource, requested, used, capacity } = self;
        let text = format!("requested: {requested}, used: {used}, capacity: {capacity}");
        Refusal::new(format!("OutOf{resource}"), format!("Node didn't have enough resource: {resource}, {text}"))
    }
}

/// What a pod asks for of one resource, in thousandths for CPU (upstream: `GetResourceRequest`).
pub fn request(pod: &Pod, resource: &str) -> i64 {
    match resource {
        "pods" => 1,
        _ => total(spec::of(pod), Side::Requests).get(resource).map_or(0, |amount| units(resource, *amount)),
    }
}

fn units(resource: &str, amount: Quantity) -> i64 {
    if resource == "cpu" { amount.milli_value() } else { amount.value() }
}

/// Requests beyond what the node can give, in upstream's order. Resources of other domains that the node does not have
/// are somebody else's to give (upstream: `removeMissingExtendedResources`).
pub fn shortages(pod: &Pod, others: &[Arc<Pod>], node: &Node) -> Vec<Shortage> {
    let Some(allocatable) = node.status.as_ref().and_then(|status| status.allocatable.as_ref()) else { return Vec::new() };
    let wanted = total(spec::of(pod), Side::Requests);
    let first = ["pods", "cpu", "memory", "ephemeral-storage"];
    let extended = |name: &str| name.contains('/') && !name.contains("kubernetes.io/");
    let more = wanted.keys().map(String::as_str).filter(|name| !first.contains(name));
    let more = more.filter(|name| !extended(name) || allocatable.contains_key(*name));
    let mut short = Vec::new();
    for resource in first.into_iter().chain(more) {
        let capacity = allocatable.get(resource).and_then(|q| Quantity::parse(&q.0).ok());
        let capacity = capacity.map_or(0, |amount| units(resource, amount));
        let requested = if resource == "pods" { 1 } else { wanted.get(resource).map_or(0, |q| units(resource, *q)) };
        if requested <= 0 {
            continue;
        }
        let used = beside(pod, others).map(|p| request(p, resource)).sum::<i64>();
        if requested + used > capacity {
            short.push(Shortage { resource: resource.to_owned(), requested, used, capacity });
        }
    }
    short
}
