//! The conditions that a node must meet, in upstream's order: one file each, and the list.

mod node_affinity;
mod node_declared_features;
mod node_name;
mod node_ports;
mod node_resources_fit;
mod node_unschedulable;
mod rules_to_come;
mod taint_toleration;

use std::sync::Arc;

use meta::Key;

use crate::queue::Hint;
use crate::signature::Parts;
use crate::snapshot::{NodeInfo, PodInfo};

/// Why a node is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Reasons as the event counts them.
    pub reasons: Vec<String>,
    /// Removing pods from the node would not help.
    pub unresolvable: bool,
}

impl Rejection {
    pub(crate) fn hard(reason: impl Into<String>) -> Self {
        Rejection { reasons: vec![reason.into()], unresolvable: true }
    }

    pub(crate) fn soft(reason: impl Into<String>) -> Self {
        Rejection { reasons: vec![reason.into()], unresolvable: false }
    }
}

/// A node that was refused.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    /// Its name.
    pub name: &'a Arc<str>,
    /// The node as it was asked.
    pub node: &'a NodeInfo,
    /// The filter that refused it.
    pub by: &'static str,
    /// Why.
    pub rejection: Rejection,
}

/// One condition.
pub struct Filter {
    /// Upstream's plug-in name.
    pub name: &'static str,
    /// The check. Pure.
    pub check: fn(&PodInfo, &NodeInfo) -> Result<(), Rejection>,
    /// Names all of the pod that the check looks at.
    pub reads: fn(&PodInfo, &mut Parts),
    /// Events after which a pod that this filter refused may fit.
    pub helped_by: &'static [Hint],
}

/// All of them, in the order in which they are asked.
pub static ALL: &[Filter] = &[
    node_unschedulable::FILTER,
    node_name::FILTER,
    taint_toleration::FILTER,
    node_affinity::FILTER,
    node_ports::FILTER,
    node_resources_fit::FILTER,
    node_declared_features::FILTER,
    rules_to_come::POD_TOPOLOGY_SPREAD,
    rules_to_come::INTER_POD_AFFINITY,
    rules_to_come::DYNAMIC_RESOURCES,
];

/// Asks all filters whether the pod may go to the node; says which refuses it.
///
/// Pods of the same or a higher priority that room is being made for on the node count as if they were there:
/// their room is not for others. What passes with them must pass without them too, for it is not certain that
/// they come (upstream: `RunFilterPluginsWithNominatedPods`).
pub fn check(pod: &PodInfo, key: &Key, node: &NodeInfo) -> Result<(), (&'static str, Rejection)> {
    let mut before = node.nominated.iter().filter(|(k, p)| *k != key && p.priority() >= pod.priority()).peekable();
    if before.peek().is_some() {
        let mut with = node.clone();
        before.for_each(|(key, pod)| with.put(key, pod.clone()));
        run(pod, &with)?;
    }
    run(pod, node)
}

fn run(pod: &PodInfo, node: &NodeInfo) -> Result<(), (&'static str, Rejection)> {
    ALL.iter().try_for_each(|f| (f.check)(pod, node).map_err(|rejection| (f.name, rejection)))
}
