//! The HTTP face of the API server.
//!
//! Place in the straight line: `serve → route → authenticate → flow control → authorize → verb →
//! decode+default → (registry) → encode`. [`pipeline`] reads like that line; every other module is one
//! of its stations, or a list of what a station may lead to: [`verbs`], [`paths`], [`reviews`], [`connect`].
//!
//! Invariants:
//! - every request takes the same line, whether it came over TLS or from a component in this process;
//! - a handler cannot forget authorization: it is behind it;
//! - what the registry encoded is sent as it is; only other forms (YAML, tables) are made here;
//! - routes, discovery and documents are derived from the list of kinds.
//!
//! Must not know: the store, the behaviour of any kind.

mod answer;
mod conditional;
mod connect;
mod decode;
mod definitions;
mod discovery;
mod endpoints;
mod flow;
mod impersonate;
mod kubelet;
mod lengthened;
mod limits;
mod list;
mod listen;
pub mod lookup;
mod media;
mod metrics;
mod negotiate;
mod options;
mod paths;
mod pipeline;
pub mod policy;
mod pretty;
mod query;
mod reviews;
mod route;
mod server;
mod shape;
#[cfg(test)]
mod values;
mod verbs;
mod watch;
mod webhook;

pub use flow::Limits;
pub use paths::GIT_VERSION;
pub use paths::health::{Check, Probe};
pub use server::{MetricSource, Parts, Server};
