//! Services: connections to a service's addresses and ports are sent to its endpoints.
//!
//! [`compile`] turns one service and its endpoint slices into its part of the rules; [`proxy`] follows the
//! API and keeps the kernel's table equal to the parts.

mod base;
mod compile;
mod proxy;
mod ports;
mod udp;

pub use proxy::{Config, Proxy, teardown};
