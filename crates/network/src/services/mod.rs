//! Services: connections to a service's addresses and ports are sent to its endpoints.
//!
//! `compile` turns one service and its endpoint slices into a plan (`topology` chooses the endpoints), `claims` settles who has what only one can have,
//! `layout` makes rules of plans; [`proxy`] follows the API, and `kernel` keeps the kernel's table equal to the plans.

mod base;
mod claims;
mod compile;
mod guard;
mod health;
mod kernel;
mod layout;
mod plan;
mod ports;
mod proxy;
mod state;
mod sticky;
mod topology;
mod udp;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

pub use proxy::{Config, Proxy, teardown};

/// What the proxy of a node wants of the kernel for one service: whatever differs in it differs in the rules. Opaque but
/// for that: it is there to be compared.
pub fn plan(config: &Config, service: &Service, slices: &[Arc<EndpointSlice>]) -> impl fmt::Debug + PartialEq + use<> {
    compile::compile(config, service, slices)
}
