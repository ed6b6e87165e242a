//! Reading: one object, a page of a list, a watch.

pub(crate) mod list;
pub(crate) mod select;
mod token;
pub(crate) mod watch;
