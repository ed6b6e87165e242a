//! The thread that writes the log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::files::{self, Recovered};
use super::frame::{FRAME_HEADER, Frame, Record};
use super::LAZY_DELAY;
use crate::core::{Core, Staged};
use crate::{Durability, Entry, Error, Event, Revision, Write};

/// Revisions reserved ahead, so that lazy writes need no sync of their own.
const RESERVE: u64 = 10_000;
/// Writes in one frame.
const BATCH: usize = 4096;
/// A log is replaced by a snapshot when it is at least this large …
const LOG_MIN: u64 = 32 << 20;
/// … and this many times as large as the live data.
const LOG_FACTOR: u64 = 2;

/// What the thread is asked for.
pub(super) enum Request {
    Commit { write: Write, answer: oneshot::Sender<Result<(Revision, Entry), Error>> },
    Close,
}

type Answers = Vec<(oneshot::Sender<Result<(Revision, Entry), Error>>, Result<(Revision, Entry), Error>)>;

/// The thread's state.
pub(super) struct Writer {
    dir: PathBuf,
    /// Held until the end.
    _lock: File,
    core: Arc<Core>,
    log: File,
    /// Length of the log, and how much of it is durable: everything.
    length: u64,
    /// Bytes in all logs since the last snapshot.
    log_bytes: u64,
    /// A frame in the making: room for its header, then the records not yet on disk.
    pending: Vec<u8>,
    /// When the pending records must be on disk.
    deadline: Option<Instant>,
    /// Revisions up to this one are reserved on disk.
    ceiling: Revision,
    snapshot: Option<JoinHandle<()>>,
    /// After a failed sync nothing can be promised any more.
    failed: Option<String>,
}

impl Writer {
    pub(super) fn open(dir: &Path, lock: File, core: Arc<Core>, found: &Recovered) -> Result<Self, Error> {
        let io = |e: io::Error| files::io_error("write in", dir, &e);
        let log = match &found.log {
            Some(path) => OpenOptions::new().append(true).open(path).map_err(io)?,
            None => files::create_log(dir, found.revision).map_err(io)?,
        };
        let length = log.metadata().map_err(io)?.len();
        let mut writer = Writer {
            dir: dir.to_owned(),
            _lock: lock,
            core,
            log,
            length,
            log_bytes: found.log_bytes,
            pending: vec![0; FRAME_HEADER],
            deadline: None,
            ceiling: 0,
            snapshot: None,
            failed: None,
        };
        writer.flush(found.revision, false)?;
        Ok(writer)
    }

    /// Serves until told to close, or until nobody can ask any more.
    pub(super) fn run(mut self, queue: &Receiver<Request>) {
        let mut requests = Vec::new();
        loop {
            match self.next(queue) {
                Ok(request) => requests.push(request),
                Err(RecvTimeoutError::Timeout) => self.flush_lazy(),
                Err(RecvTimeoutError::Disconnected) => requests.push(Request::Close),
            }
            requests.extend(queue.try_iter().take(BATCH));
            if self.serve(requests.drain(..)) {
                return self.close();
            }
        }
    }

    fn next(&self, queue: &Receiver<Request>) -> Result<Request, RecvTimeoutError> {
        match self.deadline {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => queue.recv_timeout(at.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))),
        }
    }

    /// Does one batch; says whether a close was among the requests.
    fn serve(&mut self, requests: impl Iterator<Item = Request>) -> bool {
        let (mut staged, mut answers, mut close) = (Staged::default(), Answers::new(), false);
        let before = self.pending.len();
        let mut revision = self.core.revision();
        let mut sync = false;
        for request in requests {
            let Request::Commit { write, answer } = request else {
                close = true;
                continue;
            };
            let durable = write.durability == Durability::Sync;
            let done = self.core.stage(&mut staged, write, revision + 1);
            if done.is_ok() {
                revision += 1;
                sync |= durable || revision >= self.ceiling;
                staged.events.last().into_iter().for_each(|event| encode(event, &mut self.pending));
            }
            answers.push((answer, done.map(|entry| (revision, entry))));
        }
        let result = match &self.failed {
            Some(why) => Err(Error::Io(why.clone())),
            None if sync => self.flush(revision, false),
            None => Ok(()),
        };
        match result {
            Ok(()) => self.core.publish(staged),
            Err(error) => {
                self.pending.truncate(before);
                answers.iter_mut().filter(|(_, r)| r.is_ok()).for_each(|(_, r)| *r = Err(error.clone()));
            }
        }
        if self.pending.len() > FRAME_HEADER && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + LAZY_DELAY);
        }
        for (answer, result) in answers {
            let _ = answer.send(result);
        }
        self.snapshot_if_due();
        close
    }

    fn flush_lazy(&mut self) {
        if let Err(error) = self.flush(self.core.revision(), false) {
            tracing::warn!(%error, "could not write heartbeats and events to disk, trying again");
            self.deadline = Some(Instant::now() + LAZY_DELAY);
        }
    }

    /// Writes the pending records as one frame and syncs. `revision` is the newest handed out.
    fn flush(&mut self, revision: Revision, clean: bool) -> Result<(), Error> {
        let mut ceiling = self.ceiling;
        if ceiling < revision + RESERVE / 2 {
            ceiling = revision + RESERVE;
        }
        Frame { clean, durable: self.length, ceiling }.seal(&mut self.pending);
        if let Err(error) = self.log.write_all(&self.pending) {
            // Nothing of it was promised: take back what reached the file, and go on when there is room again.
            let undone = self.log.set_len(self.length);
            let advice = files::advice(&error);
            let why = format!("write {}: {error}{advice}", self.dir.display());
            if undone.is_err() {
                self.failed = Some(why.clone());
            }
            return Err(Error::Io(why));
        }
        if let Err(error) = self.log.sync_data() {
            let why = format!("sync {}: {error}; restart Ironclad once the disk works", self.dir.display());
            self.failed = Some(why.clone());
            return Err(Error::Io(why));
        }
        self.length += self.pending.len() as u64;
        self.log_bytes += self.pending.len() as u64;
        self.ceiling = ceiling;
        self.deadline = None;
        self.pending.truncate(FRAME_HEADER);
        // A burst must not keep its memory.
        self.pending.shrink_to(1 << 20);
        Ok(())
    }

    fn snapshot_if_due(&mut self) {
        let due = self.log_bytes >= LOG_MIN.max(self.core.live_bytes().saturating_mul(LOG_FACTOR));
        if !due || self.failed.is_some() || self.snapshot.as_ref().is_some_and(|s| !s.is_finished()) {
            return;
        }
        if let Err(error) = self.start_snapshot() {
            tracing::warn!(%error, "could not start a snapshot, trying again after more writes");
            self.log_bytes = self.log_bytes.saturating_sub(LOG_MIN);
        }
    }

    fn start_snapshot(&mut self) -> Result<(), Error> {
        let revision = self.core.revision();
        self.flush(revision, false)?;
        self.log = files::create_log(&self.dir, revision).map_err(|e| files::io_error("write in", &self.dir, &e))?;
        self.length = super::frame::FILE_HEADER as u64;
        self.log_bytes = self.length;
        // The ceiling is a promise of the newest log: repeat it there before anything else is written.
        self.ceiling = 0;
        self.flush(revision, false)?;
        let (core, dir) = (self.core.clone(), self.dir.clone());
        let thread = std::thread::Builder::new().name("store-snapshot".to_owned()).spawn(move || {
            let (entries, revision) = core.live();
            if let Err(error) = files::write_snapshot(&dir, &entries, revision) {
                tracing::warn!(%error, "could not write a snapshot, the logs are kept");
            }
        });
        self.snapshot = Some(thread.map_err(|e| Error::Io(format!("start a thread: {e}")))?);
        Ok(())
    }

    fn close(mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            let _ = snapshot.join();
        }
        let revision = self.core.revision();
        if self.failed.is_none()
            && let Err(error) = self.flush(revision, true)
        {
            tracing::warn!(%error, "could not close the store in good order; nothing acknowledged is lost");
        }
    }
}

fn encode(event: &Event, out: &mut Vec<u8>) {
    let entry = event.entry.as_ref();
    let created = entry.map_or(0, |e| e.created);
    Record { revision: event.revision, created, key: &event.key, value: entry.map(|e| &e.value[..]) }.encode(out);
}
