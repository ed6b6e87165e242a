//! Checks that several kinds share, with upstream's messages and order.

pub mod metadata;

pub use metadata::{metadata, metadata_update};

/// What upstream says of a field that may not change.
pub const IMMUTABLE: &str = "field is immutable";
