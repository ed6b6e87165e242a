//! Bytes under keys with one global revision: etcd's model, whichever engine keeps it.
//!
//! Place in the straight line: `commit → store`. Only the registry calls it.
//!
//! Invariants:
//! - every acknowledged durable write survives `kill -9` and power loss, and a refused one never appears;
//! - revisions grow by one a write and never go back, also after a crash; nothing that was
//!   observed under a revision is ever seen under another;
//! - a watch delivers every event after its start exactly once, in revision order, or ends with an error.
//!
//! Must not know: objects, kinds, JSON.

mod core;
pub mod disk;
mod history;
mod memory;
#[cfg(test)]
mod suite;

pub use disk::{Disk, Renew};
pub use memory::Memory;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// A point in the history of the whole store. 0 is before the first write.
pub type Revision = u64;

/// What a writer says beside its write to those in the same process who watch: what it made for the write, and they
/// need not make again. Never stored, and no part of the history.
pub type Note = Arc<dyn std::any::Any + Send + Sync>;

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key was last written at this revision.
    Revision(Revision),
}

/// What is written.
#[derive(Clone, Debug)]
pub enum Op {
    /// Store the value under the key.
    Put(Bytes),
    /// Remove the key.
    Delete,
}

/// How soon a write must be on disk before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// Before the acknowledgement.
    #[default]
    Sync,
    /// Within a few seconds: for heartbeats and events. After a crash the write may be gone,
    /// but its revision is never used again.
    Lazy,
}

/// One conditional write of one key.
#[derive(Clone)]
pub struct Write {
    /// For example `/registry/configmaps/default/a`.
    pub key: Arc<str>,
    /// Condition.
    pub expect: Expect,
    /// Change.
    pub op: Op,
    /// Promise asked for.
    pub durability: Durability,
    /// For those who watch.
    pub note: Option<Note>,
}

/// A key's value at some revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// The bytes, as they were written.
    pub value: Bytes,
    /// Revision of the write that created the key.
    pub created: Revision,
    /// Revision of the write that made this value.
    pub modified: Revision,
}

/// A page of a range, all of it as of one revision.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Entries in key order.
    pub entries: Vec<Entry>,
    /// The revision that the page shows.
    pub revision: Revision,
    /// Whether entries follow after the last one.
    pub more: bool,
    /// How many entries follow after the last one.
    pub remaining: u64,
}

/// One change.
#[derive(Clone)]
pub struct Event {
    /// Revision of the write.
    pub revision: Revision,
    /// The key.
    pub key: Arc<str>,
    /// The new entry; `None` when the key was deleted.
    pub entry: Option<Entry>,
    /// The entry before, if there was one and it is not compacted away.
    pub previous: Option<Entry>,
    /// What its writer said beside it; `None` for what is past, or was written by another process.
    pub note: Option<Note>,
}

/// Why the store refused or failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The expectation of a write did not hold; this is what the key has now.
    #[error("the key was changed meanwhile")]
    Unexpected(Option<Entry>),
    /// The revision asked for is gone.
    #[error("revision {asked} has been compacted, the oldest is {oldest}")]
    Compacted {
        /// What was asked for.
        asked: Revision,
        /// The oldest revision that can be read.
        oldest: Revision,
    },
    /// The revision asked for lies in the future.
    #[error("revision {asked} is not reached yet, the store is at {current}")]
    Future {
        /// What was asked for.
        asked: Revision,
        /// Where the store is.
        current: Revision,
    },
    /// A watcher read too slowly and was cut off.
    #[error("the watcher fell behind and was disconnected")]
    Lagged,
    /// The data on disk is damaged; the text says where, and what to do.
    #[error("{0}")]
    Corrupt(String),
    /// The disk is full, or another I/O error; the store accepts no more writes.
    #[error("the store cannot write: {0}")]
    Io(String),
}

/// A stream of events in revision order. It ends after an error, or when the store closes.
pub type Watch = futures::stream::BoxStream<'static, Result<Event, Error>>;

/// What every engine does. Dropping the last handle closes the engine cleanly.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The revision of the newest acknowledged write.
    fn revision(&self) -> Revision;

    /// The oldest revision that can still be read.
    fn oldest(&self) -> Revision;

    /// Whether writes reach where they should; if not, why. Quick, no I/O.
    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    /// One key's newest value.
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error>;

    /// Up to `limit` (0: all) entries under `prefix` that come after the key `after` (if given),
    /// as of revision `at` (`None`: the newest).
    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize, at: Option<Revision>)
    -> Result<Page, Error>;

    /// Does the write if its expectation holds. Returns the revision of the write and the entry that
    /// the key has after it (after a delete: the one that it had before).
    async fn commit(&self, write: Write) -> Result<(Revision, Entry), Error>;

    /// All events under `prefix` with a revision greater than `after`, then those to come.
    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error>;

    /// Forgets the history before `revision`; current values stay.
    async fn compact(&self, revision: Revision) -> Result<(), Error>;
}
