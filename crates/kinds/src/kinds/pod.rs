//! Pod.

use crate::descriptor::{CHANGE, CONNECT, CREATE, Descriptor, PROXY, READ};
use crate::rules::Rules;

struct Pod;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Pod", "pods", Pod)
        .short("po")
        .in_all()
        .sub_of("attach", ("", "v1", "PodAttachOptions"), CONNECT)
        .sub_of("binding", ("", "v1", "Binding"), CREATE)
        .sub("ephemeralcontainers", CHANGE)
        .sub_of("eviction", ("policy", "v1", "Eviction"), CREATE)
        .sub_of("exec", ("", "v1", "PodExecOptions"), CONNECT)
        .sub("log", READ)
        .sub_of("portforward", ("", "v1", "PodPortForwardOptions"), CONNECT)
        .sub_of("proxy", ("", "v1", "PodProxyOptions"), PROXY)
        .sub("resize", CHANGE)
        .sub("status", CHANGE)
}

impl Rules for Pod {}
