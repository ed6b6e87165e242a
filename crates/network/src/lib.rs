//! Pod networking and services on one node.
//!
//! Place in the straight line: the kubelet's executor attaches pods; the service proxy is an actor of its own.
//!
//! Invariants:
//! - allocations live in files, links and rules in the kernel: a new process takes over what an
//!   earlier one left, and running pods notice nothing;
//! - a packet of a pod passes the node, with the pod's own address or not at all;
//! - no packet to a pod or service address that nobody has leaves the machine;
//! - whatever it makes on the machine has a name of its cluster's own;
//! - threads of the async runtime never change their network namespace.
//!
//! Must not know: containers, the store.

pub mod api;
pub mod bridge;
mod conntrack;
#[doc(hidden)]
pub mod fuzzed;
pub mod ipam;
pub mod link;
mod names;
mod nft;
mod pins;
pub mod services;
mod sysctl;
pub mod traffic;

pub use api::{HostPort, OwnPort, PodNetwork, PodPorts, Protocol};
pub use bridge::Bridge;
pub use names::Names;
pub use services::Proxy;
pub use traffic::{Flow, Traffic};
