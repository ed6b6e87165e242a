//! The Node object: registration, heartbeats, status.

pub mod facts;
pub mod lease;
pub mod object;
pub mod status;
