//! Writing: the life cycle that all kinds share.

pub(crate) mod collection;
pub(crate) mod commit;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod edit;
pub(crate) mod lifecycle;
mod namespace;
pub(crate) mod patch;
pub(crate) mod shown;
pub(crate) mod update;

pub use lifecycle::dedup_owners;
