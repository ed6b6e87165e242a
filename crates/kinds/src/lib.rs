//! The kinds that the API serves: one file of rules each, and one list.
//!
//! Place in the straight line: `decode+default → … → kind rules (prepare, validate) → …`.
//! Routes, discovery, OpenAPI, tables and storage are derived from [`Descriptor`]s. A custom
//! resource builds the same descriptor at run time and takes the same path.
//!
//! Invariants: rules are pure and synchronous; they read and change only the objects they are given. Who asks, and when, is
//! said to them ([`Context`]).
//!
//! Must not know: HTTP, the store, other objects.

pub mod custom;
pub mod descriptor;
mod diff;
pub mod kinds;
mod now;
pub mod podspec;
pub mod print;
pub mod rules;
mod scale;
pub mod tree;
pub mod validate;
pub mod view;
pub mod webhook;

pub use descriptor::{Descriptor, Replicas, Selector, Subresource, Verbs};
pub use kinds::ALL;
pub use now::{Marked, Now};
pub use rules::{Column, Context, Rules, Word};

/// All built-in kinds.
pub fn all() -> Vec<Descriptor> {
    ALL.iter().map(|descriptor| descriptor()).collect()
}
