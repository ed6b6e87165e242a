//! The default engine: everything in memory, every write in a log on disk.
//!
//! One thread writes. It takes all writes that wait, appends them as one frame, syncs once,
//! publishes them and acknowledges them (group commit). Lazy writes are acknowledged at once
//! and go to disk with the next frame, or after [`LAZY_DELAY`]. When the log has grown to a
//! multiple of the live data, a snapshot of the live data takes its place.

mod files;
mod frame;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};

use crate::core::Core;
use crate::{Entry, Error, Page, Revision, Store, Watch, Write};
use writer::{Request, Writer};

/// How long a lazy write may stay off the disk.
pub const LAZY_DELAY: Duration = Duration::from_secs(20);

/// Writes that may wait at once; further ones wait for their turn before they are queued.
const QUEUE: usize = 4096;

/// A store in a directory that one process has for itself.
pub struct Disk {
    core: Arc<Core>,
    requests: mpsc::Sender<Request>,
    turns: Semaphore,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Disk {
    /// Opens the store in a directory, which is made if it is absent.
    ///
    /// Errors: [`Error::Io`] when the directory is in use or cannot be written,
    /// [`Error::Corrupt`] when a file is damaged in a place that had been durable.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(|e| files::io_error("create", dir, &e))?;
        let lock = files::lock(dir)?;
        let mut found = files::recover(dir)?;
        let core = Arc::new(Core::new(std::mem::take(&mut found.entries), found.revision));
        let (requests, queue) = mpsc::channel();
        let writer = Writer::open(dir, lock, core.clone(), &found)?;
        let thread = std::thread::Builder::new().name("store-writer".to_owned());
        let thread = thread.spawn(move || writer.run(&queue)).map_err(|e| Error::Io(format!("start a thread: {e}")))?;
        Ok(Disk { core, requests, turns: Semaphore::new(QUEUE), thread: Mutex::new(Some(thread)) })
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
