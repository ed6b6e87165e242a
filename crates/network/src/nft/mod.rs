//! nftables over netlink: a table kept equal to a description, by differences in one transaction.

mod difference;
mod layout;
mod lookup;
mod rule;
mod set;
mod socket;
mod table;
mod wire;

pub(crate) use layout::{Base, Elements, Hook, Layout, Part, SharedChain, Value};
pub(crate) use lookup::{Entry, Pool};
pub(crate) use rule::{Rule, SCTP, TCP, UDP, Verdict};
pub(crate) use socket::decode;
pub(crate) use set::{Field, Says, Set};
pub(crate) use table::{Table, remove};
pub(crate) use wire::{Family, TableName};
