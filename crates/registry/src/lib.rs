//! The life cycle of objects, generic over all kinds, and the watch cache.
//!
//! Place in the straight line: `mutate admission → kind rules → validate admission → commit → store → cache → watch`.
//!
//! Invariants:
//! - the only crate that touches the store;
//! - each form of an object is made at most once a revision, and shared by get, list and watch;
//! - a LIST shows exactly one revision, however many pages it has;
//! - a watcher gets every event once and in order, or is disconnected.
//!
//! Must not know: HTTP, authentication.

pub mod api;
mod apply;
mod cache;
mod codec;
mod error;
mod kind;
pub mod long;
mod lookup;
mod read;
pub mod registry;
pub mod reservation;
mod serving;
mod retention;
mod subresource;
mod write;

pub use apply::keep_account;
pub use codec::{renew, shown};
pub use registry::{Config, Registry};
pub use write::dedup_owners;
