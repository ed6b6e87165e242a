//! EndpointSlice.

use crate::descriptor::Descriptor;
use crate::rules::Rules;

struct EndpointSlice;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", EndpointSlice)
}

impl Rules for EndpointSlice {}
