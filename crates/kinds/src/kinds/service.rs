//! Service.

use crate::descriptor::{CHANGE, Descriptor, PROXY};
use crate::rules::Rules;

struct Service;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Service", "services", Service)
        .short("svc")
        .in_all()
        .stored_at("/registry/services/specs/")
        .sub_of("proxy", ("", "v1", "ServiceProxyOptions"), PROXY)
        .sub("status", CHANGE)
}

impl Rules for Service {}
