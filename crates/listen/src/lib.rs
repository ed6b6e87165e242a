//! Connections from outside: TCP, TLS, HTTP/1.1 and HTTP/2, for everybody in this process who listens.
//!
//! Place in the straight line: `serve`. A [`Service`] gets requests as values and gives answers as values; what the
//! network does in between is this crate's business.
//!
//! Invariants:
//! - connections are fewer than the descriptors that the process has, and whoever is not known gives way to who comes;
//! - a client that says nothing, or does not take what it asked for, loses its connection;
//! - an answer arrives also where the request's body was not read to its end;
//! - an answer to HEAD has no body.
//!
//! Must not know: Kubernetes, users, paths.

mod answer;
mod connection;
mod first;
mod heads;
mod limits;
mod line;
mod received;
mod serve;
mod slots;
mod wire;

pub use answer::Endless;
pub use limits::share;
pub use line::Line;
pub use serve::{Door, Service, serve};
