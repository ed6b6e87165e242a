//! The Node object: registration, heartbeats, status.

pub mod conditions;
pub mod facts;
pub mod groups;
pub mod lease;
pub mod object;
pub mod status;
