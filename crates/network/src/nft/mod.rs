//! nftables over netlink: a table kept equal to a description, by differences in one transaction.

mod rule;
mod socket;
mod table;
mod wire;

pub(crate) use rule::{Rule, SCTP, TCP, UDP, Verdict};
pub use table::TABLE;
pub(crate) use table::{Base, Hook, Key, Part, Table, remove};
