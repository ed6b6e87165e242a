//! Pod networking and the service proxy of one node.
//!
//! Place in the straight line: the kubelet's executor attaches pods; the proxy follows Services.
//!
//! Must not know: how containers run.

pub mod api;

pub use api::{HostPort, PodNetwork, Protocol};
