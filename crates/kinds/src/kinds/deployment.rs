//! Deployment.

use crate::descriptor::{CHANGE, Descriptor};
use crate::rules::Rules;

struct Deployment;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("apps/v1", "Deployment", "deployments", Deployment)
        .short("deploy")
        .in_all()
        .sub_of("scale", ("autoscaling", "v1", "Scale"), CHANGE)
        .sub("status", CHANGE)
}

impl Rules for Deployment {}
