//! The default engine: everything in memory, every write in a log on disk.
//!
//! One thread writes. It takes all writes that wait, appends them as one frame, syncs once,
//! publishes them and acknowledges them (group commit). Lazy writes are acknowledged at once
//! and go to disk with the next frame, or after [`LAZY_DELAY`]. When the log has grown to a
//! multiple of the live data, a snapshot of the live data takes its place.
//!
//! A write is refused only when no trace of it is left on disk, durably. Where that cannot be had, nobody is answered
//! and the process ends: the next one finds the write whole or not at all.

mod files;
mod frame;
mod header;
mod health;
mod legacy;
mod medium;
mod recover;
mod segment;
pub mod simulation;
mod snapshot;
mod thread;
mod writer;

pub use medium::{Blob, Medium};
pub use thread::Lost;

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};

use crate::core::Core;
use crate::{Entry, Error, Page, Revision, Store, Watch, Write};
#[cfg(test)]
use files::FORMAT;
use health::Health;
use medium::Directory;
use writer::{Request, Writer};

/// How long a lazy write may stay off the disk.
pub const LAZY_DELAY: Duration = Duration::from_secs(20);

/// Writes that may wait at once; further ones wait for their turn before they are queued.
const QUEUE: usize = 4096;

/// Gives a value another form, if it has an older one. Quick, no I/O: it is asked for every entry at every start.
pub type Renew<'a> = &'a dyn Fn(&Entry) -> Option<bytes::Bytes>;

/// How large things may grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Bytes of logs from which on a snapshot is worth its while.
    pub(crate) log: u64,
    /// Zeros that a log is filled with ahead of its end, in bytes.
    pub(crate) ahead: u64,
    /// Revisions reserved ahead, so that lazy writes need no sync of their own.
    pub(crate) reserve: u64,
    /// Bytes that lazy writes may keep off the disk.
    pub(crate) pending: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { log: 32 << 20, ahead: 1 << 20, reserve: 10_000, pending: 4 << 20 }
    }
}

/// A store in a directory that one process has for itself.
pub struct Disk {
    core: Arc<Core>,
    health: Arc<Health>,
    requests: mpsc::Sender<Request>,
    turns: Semaphore,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held until the end.
    _lock: Option<File>,
}

impl Disk {
    /// Opens the store in a directory, which is made if it is absent. When it is not known any more what is on disk,
    /// the process ends, with a line on standard error.
    ///
    /// Errors: [`Error::Io`] when the directory is in use or cannot be written,
    /// [`Error::Corrupt`] when a file is damaged in a place that had been durable, missing, or of a later format.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_renewed(dir, &|_| None)
    }

    /// The same, and values in an older form get the one that `renew` gives them, under their own revisions: nobody sees
    /// a change. A snapshot follows at once; where it fails, or the process ends before, the next start has them again.
    ///
    /// Errors: as [`Disk::open`].
    pub fn open_renewed(dir: &Path, renew: Renew<'_>) -> Result<Self, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|e| Error::Io(format!("create {}: {e}{}", dir.display(), files::advice(&e))))?;
        let lock = files::lock(dir)?;
        Self::start(Arc::new(Directory::at(dir)), Sizes::default(), thread::end_process(), Some(lock), renew)
    }

    fn start(medium: Arc<dyn Medium>, sizes: Sizes, lost: Lost, lock: Option<File>, renew: Renew<'_>) -> Result<Self, Error> {
        let health = Arc::new(Health::default());
        let writer = Writer::open(medium, health.clone(), sizes, thread::elsewhere(), renew)?;
        let core = writer.core();
        let (requests, queue) = mpsc::channel();
        let thread = thread::start(writer, health.clone(), queue, lost)?;
        Ok(Disk { core, health, requests, turns: Semaphore::new(QUEUE), thread: Mutex::new(Some(thread)), _lock: lock })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.core.close();
    }
}

fn stopped() -> Error {
    Error::Io("the store has stopped".to_owned())
}

#[async_trait]
impl Store for Disk {
    fn revision(&self) -> Revision {
        self.core.revision()
    }

    fn oldest(&self) -> Revision {
        self.core.oldest()
    }

    fn health(&self) -> Result<(), String> {
        self.health.check()
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        Ok(self.core.get(key))
    }

    async fn range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page, Error> {
        self.core.range(prefix, after, limit, at)
    }

    async fn commit(&self, write: Write) -> Result<(Revision, Entry), Error> {
        let _turn = self.turns.acquire().await.map_err(|_| stopped())?;
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Commit { write, answer }).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.core.watch(prefix, after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.core.compact(revision)
    }
}

#[cfg(test)]
mod tests;
