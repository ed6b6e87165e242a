//! The conditions that a node must meet, in upstream's order: one file each, and the list.

mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_fit;
mod node_unschedulable;
mod taint_toleration;

use crate::queue::Hint;
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
    fn hard(reason: impl Into<String>) -> Self {
        Rejection { reasons: vec![reason.into()], unresolvable: true }
    }

    fn soft(reason: impl Into<String>) -> Self {
        Rejection { reasons: vec![reason.into()], unresolvable: false }
    }
}

/// One condition.
pub struct Filter {
    /// Upstream's plug-in name.
    pub name: &'static str,
    /// The check. Pure.
    pub check: fn(&PodInfo, &NodeInfo) -> Result<(), Rejection>,
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
];
