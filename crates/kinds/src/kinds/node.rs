//! Node.

use crate::descriptor::{CHANGE, Descriptor, PROXY};
use crate::rules::Rules;

struct Node;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Node", "nodes", Node)
        .cluster_scoped()
        .short("no")
        .stored_at("/registry/minions/")
        .sub_of("proxy", ("", "v1", "NodeProxyOptions"), PROXY)
        .sub("status", CHANGE)
}

impl Rules for Node {}
