//! Finds a node for every pod that has none.
//!
//! Place in the straight line: an actor like any other: `informer → queue → schedule → execute (bind, or make room)`.
//!
//! Invariants:
//! - [`cycle::schedule`] is pure: a pod and a [`snapshot::Snapshot`] give a decision;
//! - filters and scores are open lists: one file and one list line each;
//! - the snapshot is kept current by changes, never rebuilt; an assumed pod counts until its binding
//!   is confirmed or has failed;
//! - a pod that fits nowhere waits for an event that can help it, not for a timer;
//! - a pod that pods of a lower priority make room for is nominated for the node before they are told to go,
//!   and from there on its room is not for pods of its priority or a lower one.
//!
//! Must not know: the store, containers, how nodes run pods.

mod attempt;
pub mod cycle;
pub mod filters;
pub mod preempt;
pub mod queue;
mod rank;
pub mod resources;
mod run;
#[cfg(test)]
mod samples;
pub mod scores;
pub mod signature;
pub mod snapshot;
mod state;
mod write;

pub use run::run;
