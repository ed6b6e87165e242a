//! Services: connections to a service's addresses and ports are sent to its endpoints.
//!
//! `compile` turns one service and its endpoint slices into a plan, `claims` settles who has what only one can have,
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
mod udp;

use crate::nft::{Family, TableName};

/// The table of service rules.
const TABLE: TableName = TableName { family: Family::Ipv4, name: "ironclad" };

pub use proxy::{Config, Proxy, teardown};
