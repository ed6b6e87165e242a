//! How actors reach the API: typed calls (`kube`), and informers shared per process.
//!
//! Place in the straight line: `watch frames → informer → queue`.
//!
//! Invariants:
//! - state is reached through a [`transport::Transport`] alone, never around the API;
//! - one watch per kind and selection in a process, however many readers it has;
//! - handlers see every change in order, deletions included; they must be quick and never block.

pub mod informer;

pub use informer::{Change, Hub, Informer};
