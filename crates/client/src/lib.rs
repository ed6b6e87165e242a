//! How actors reach the API: typed calls (`kube`), informers shared per process, and events.
//!
//! Place in the straight line: `watch frames → informer → queue`.
//!
//! Invariants:
//! - state is reached through a [`transport::Transport`] alone, never around the API;
//! - one watch per kind and selection in a process, however many readers it has;
//! - handlers see every change in order, deletions included; they must be quick and never block;
//! - recording an event never waits and never fails the caller.
//!
//! Must not know: what any kind means.

pub mod connect;
pub mod events;
mod frames;
pub mod hub;
pub mod index;
pub mod informer;
pub mod watch;

pub use events::{Recorder, Regarding};
pub use hub::Hub;
pub use informer::{Change, Informer, Kind, View};
