//! What the thread that writes the log does, step by step; it knows no thread itself.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use tokio::sync::oneshot;

use super::files::{self, io_error};
use super::frame::{FRAME_HEADER, Record, Sort};
use super::health::Health;
use super::medium::Medium;
use super::recover;
use super::segment::{Failure, Segment, log_name};
use super::snapshot::{self, Snapshot};
use super::{LAZY_DELAY, Renew, Sizes};
use crate::core::{Core, Staged};
use crate::{Durability, Entry, Error, Event, Op, Revision, Write};

/// Where the answer to a write goes.
pub(super) type Answer = oneshot::Sender<Result<(Revision, Entry), Error>>;

/// What the thread is asked for.
pub(super) enum Request {
    Commit { write: Write, answer: Answer },
    Close,
}

impl Request {
    /// About how much it adds to a frame, in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Request::Commit { write: Write { op: Op::Put(value), .. }, .. } => value.len(),
            _ => 0,
        }
    }
}

/// It is not known what is on disk: nothing more may be said, to nobody. The process has to end; the next one reads
/// what is there.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

/// Work that may take a while, done elsewhere.
pub(super) type Job = Box<dyn FnOnce() + Send>;
/// Has a job done elsewhere.
pub(super) type Spawn = Box<dyn Fn(Job) -> io::Result<()> + Send>;

type Answers = Vec<(Answer, Result<(Revision, Entry), Error>)>;

/// The writer's state.
pub(super) struct Writer {
    medium: Arc<dyn Medium>,
    core: Arc<Core>,
    health: Arc<Health>,
    sizes: Sizes,
    spawn: Spawn,
    segment: Segment,
    /// Bytes in all logs since the last snapshot.
    log_bytes: u64,
    /// A frame in the making: room for its header, then the records not yet on disk.
    pending: Vec<u8>,
    /// When the pending records must be on disk.
    deadline: Option<Instant>,
    /// Revisions up to this one are reserved on disk.
    ceiling: Revision,
    /// Disconnected when the snapshot in the making is done.
    snapshot: Option<Receiver<()>>,
}

impl Writer {
    /// Reads the directory, and reserves the first revisions.
    pub(super) fn open(
        medium: Arc<dyn Medium>, health: Arc<Health>, sizes: Sizes, spawn: Spawn, renew: Renew<'_>,
    ) -> Result<Self, Error> {
        let mut found = recover::recover(&*medium)?;
        let renewed = found.entries.iter_mut().filter_map(|entry| Some(entry.value = renew(entry)?)).count();
        let io = |e: io::Error| io_error("write in", &*medium, &e);
        let segment = match found.log {
            Some((after, length)) => Segment::open(&*medium, after, length, sizes.ahead),
            None => Segment::create(&*medium, found.revision, None, sizes.ahead),
        };
        let segment = segment.map_err(io)?;
        if !files::has_format(&*medium)? {
            files::write_format(&*medium).map_err(io)?;
        }
        let mut writer = Writer {
            core: Arc::new(Core::new(found.entries, found.revision)),
            medium,
            health,
            sizes,
            spawn,
            segment,
            log_bytes: found.log_bytes,
            pending: vec![0; FRAME_HEADER],
            deadline: None,
            ceiling: 0,
            snapshot: None,
        };
        let lost = |Lost(why)| Error::Io(why);
        writer.flush(found.revision, Sort::Open).map_err(lost)??;
        if renewed > 0 {
            tracing::info!(renewed, "objects in an older form are written anew");
            if let Err(error) = writer.start_snapshot().map_err(lost)? {
                tracing::warn!(%error, "they could not be, trying again at the next start");
            }
        }
        Ok(writer)
    }

    /// What it writes is read here.
    pub(super) fn core(&self) -> Arc<Core> {
        self.core.clone()
    }

    /// When [`Writer::flush_lazy`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Does one batch; says whether a close was among the requests. Whoever gets no answer must get none.
    pub(super) fn serve(&mut self, requests: impl Iterator<Item = Request>) -> Result<bool, Lost> {
        let (mut staged, mut close) = (Staged::default(), false);
        // Dropping one would be an answer, too: that the write failed.
        let mut answers = ManuallyDrop::new(Answers::new());
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
        // A batch of lazy writes that is large goes to disk at once: it must not fill the memory.
        sync |= self.pending.len() > self.sizes.pending;
        let result = if sync { self.flush(revision, Sort::Open)? } else { Ok(()) };
        match result {
            Ok(()) => self.core.publish(staged),
            Err(error) => {
                self.pending.truncate(before);
                // Also those that were found to be in the way of others of this batch: nobody may hear what those wrote.
                answers.iter_mut().for_each(|(_, answer)| *answer = Err(error.clone()));
            }
        }
        if self.pending.len() > FRAME_HEADER && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + LAZY_DELAY);
        }
        for (answer, result) in ManuallyDrop::into_inner(answers) {
            let _ = answer.send(result);
        }
        self.snapshot_if_due()?;
        Ok(close)
    }

    /// Writes what may wait no longer.
    pub(super) fn flush_lazy(&mut self) -> Result<(), Lost> {
        if let Err(error) = self.flush(self.core.revision(), Sort::Open)? {
            tracing::warn!(%error, "could not write heartbeats and events to disk, trying again");
            self.deadline = Some(Instant::now() + LAZY_DELAY);
        }
        Ok(())
    }

    /// Writes the pending records as one frame and syncs. `revision` is the newest handed out. After an error the
    /// records are still pending, and nothing of them is on disk.
    fn flush(&mut self, revision: Revision, sort: Sort) -> Result<Result<(), Error>, Lost> {
        let ceiling = match sort {
            // Nothing will be handed out after it.
            Sort::Clean => revision,
            _ if self.ceiling < revision + self.sizes.reserve / 2 => revision + self.sizes.reserve,
            _ => self.ceiling,
        };
        let appended = self.segment.append(sort, ceiling, &mut self.pending);
        if let Err(error) = self.settled(appended)? {
            return Ok(Err(error));
        }
        self.log_bytes += self.pending.len() as u64;
        self.ceiling = ceiling;
        self.deadline = None;
        self.pending.truncate(FRAME_HEADER);
        // A burst must not keep its memory.
        self.pending.shrink_to(1 << 20);
        Ok(Ok(()))
    }

    /// Sorts a failure into what can be told and what cannot, and notes how the disk does.
    fn settled(&self, appended: Result<(), Failure>) -> Result<Result<(), Error>, Lost> {
        let why = |error: &io::Error| format!("write {}: {error}{}", self.medium.place(), files::advice(error));
        match appended {
            Ok(()) => {
                self.health.well();
                Ok(Ok(()))
            }
            Err(Failure::Undone(error)) => {
                self.health.failed(&why(&error));
                Ok(Err(Error::Io(why(&error))))
            }
            Err(Failure::Unknown(error)) => Err(Lost(format!(
                "{}; it could not be taken back, so nobody knows what is stored: starting again reads what is there",
                why(&error)
            ))),
        }
    }

    fn snapshot_if_due(&mut self) -> Result<(), Lost> {
        let due = self.log_bytes >= self.sizes.log.max(self.core.live_bytes().saturating_mul(LOG_FACTOR));
        if !due || self.is_making_snapshot() {
            return Ok(());
        }
        if let Err(error) = self.start_snapshot()? {
            tracing::warn!(%error, "could not start a snapshot, trying again after more writes");
            self.log_bytes = self.log_bytes.saturating_sub(self.sizes.log);
        }
        Ok(())
    }

    fn is_making_snapshot(&mut self) -> bool {
        let busy = self.snapshot.as_ref().is_some_and(|done| done.try_recv() == Err(TryRecvError::Empty));
        if !busy {
            self.snapshot = None;
        }
        busy
    }

    fn start_snapshot(&mut self) -> Result<Result<(), Error>, Lost> {
        let revision = self.core.revision();
        if let Err(error) = self.flush(revision, Sort::Open)? {
            return Ok(Err(error));
        }
        // Where nothing was written since the last change of logs, the snapshot goes before the same log.
        if revision > self.segment.after
            && let Err(error) = self.change_logs(revision)?
        {
            return Ok(Err(error));
        }
        self.log_bytes = self.segment.length;
        let (core, medium, log, ceiling) = (self.core.clone(), self.medium.clone(), self.segment.after, self.ceiling);
        let (done, wait) = mpsc::sync_channel(0);
        let job = move || {
            let (entries, revision) = core.live();
            if let Err(error) = snapshot::write(&*medium, &entries, &Snapshot { revision, log, ceiling }) {
                tracing::warn!(%error, "could not write a snapshot, the logs are kept");
            }
            drop(done);
        };
        let started = (self.spawn)(Box::new(job)).map_err(|e| Error::Io(format!("start a thread: {e}")));
        self.snapshot = started.is_ok().then_some(wait);
        Ok(started)
    }

    /// Goes on in a new log. Where that fails, in the old one, and nothing is left of the new.
    fn change_logs(&mut self, revision: Revision) -> Result<Result<(), Error>, Lost> {
        let created = Segment::create(&*self.medium, revision, Some(self.segment.after), self.sizes.ahead);
        let next = match created {
            Ok(next) => next,
            Err(error) => return Ok(Err(io_error("write in", &*self.medium, &error))),
        };
        let closed = self.segment.close_for(revision, self.ceiling);
        if let Err(error) = self.settled(closed)? {
            // Nothing leads to it: should this fail, the next start removes it.
            let _ = self.medium.remove(&log_name(revision));
            return Ok(Err(error));
        }
        self.segment = next;
        Ok(Ok(()))
    }

    /// Ends in good order.
    pub(super) fn close(mut self) {
        if let Some(done) = self.snapshot.take() {
            // It ends when the job has: nothing is ever sent.
            let _ = done.recv();
        }
        match self.flush(self.core.revision(), Sort::Clean) {
            Ok(Ok(())) => {
                if let Err(error) = self.segment.trim() {
                    tracing::debug!(%error, "the log keeps its zeros");
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not close the store in good order; nothing acknowledged is lost");
            }
            Err(Lost(why)) => tracing::warn!(why, "could not close the store in good order; nothing acknowledged is lost"),
        }
    }
}

/// A log is replaced when it is this many times as large as the live data.
const LOG_FACTOR: u64 = 2;

fn encode(event: &Event, out: &mut Vec<u8>) {
    let entry = event.entry.as_ref();
    let created = entry.map_or(0, |e| e.created);
    Record { revision: event.revision, created, key: &event.key, value: entry.map(|e| &e.value[..]) }.encode(out);
}
