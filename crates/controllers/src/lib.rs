//! Controllers: each keeps a part of the cluster as its objects say it should be.
//!
//! Place in the straight line: `informer → queue → reconcile → execute`.
//!
//! Invariants:
//! - a controller decides and nothing else: no clock, no client, no task. The [`frame`] does the rest;
//! - each writes under its own identity, with the permissions that its list entry declares;
//! - nothing runs by the clock unless a plan asks for it: an idle cluster costs nothing.
//!
//! Must not know: the store, the registry, how requests travel.

pub mod all;
pub mod frame;
mod namespaces;
mod owners;
mod run;
mod selectors;
mod services;
#[cfg(test)]
mod sim;
pub mod workers;

use pod::life as pods;

pub use all::ALL;
pub use run::{Config, Handle, READER, identity, run};
pub use workers::WORKERS;
pub use workers::apiserver_endpoints::Server;
