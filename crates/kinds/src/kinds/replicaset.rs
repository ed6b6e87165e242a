//! ReplicaSet.

use crate::descriptor::{CHANGE, Descriptor};
use crate::rules::Rules;

struct ReplicaSet;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("apps/v1", "ReplicaSet", "replicasets", ReplicaSet)
        .short("rs")
        .in_all()
        .sub_of("scale", ("autoscaling", "v1", "Scale"), CHANGE)
        .sub("status", CHANGE)
}

impl Rules for ReplicaSet {}
