//! A store on a simulated disk without a thread of its own: what waits is done when it is told, so that a run depends
//! on its seed alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::SimulatedDisk;
use crate::core::Core;
use crate::disk::Sizes;
use crate::disk::health::Health;
use crate::disk::writer::{Answer, Job, Request, Writer};
use crate::{Entry, Error, Page, Revision, Store, Watch, Write};

/// Revisions reserved ahead: few, so that they are used up often.
const RESERVE: u64 = 16;
const PENDING: usize = 1 << 20;

/// The store. Whoever asks waits until [`Engine::turn`].
pub struct Engine {
    core: Arc<Core>,
    health: Arc<Health>,
    jobs: Arc<Mutex<VecDeque<Job>>>,
    state: Mutex<State>,
}

struct State {
    /// `None` after the end.
    writer: Option<Writer>,
    queue: VecDeque<Request>,
    /// Who asked after the end, and is never answered.
    silent: Vec<Answer>,
}

impl Engine {
    /// Opens what is on the disk. Logs are replaced from `log` bytes on, and filled with zeros `ahead` bytes ahead.
    ///
    /// Errors: as [`crate::Disk::open`].
    pub fn open(disk: &SimulatedDisk, log: u64, ahead: u64) -> Result<Self, Error> {
        let (jobs, health) = (Arc::new(Mutex::new(VecDeque::new())), Arc::new(Health::default()));
        let waiting = jobs.clone();
        let spawn = move |job| {
            lock(&waiting).push_back(job);
            Ok(())
        };
        let sizes = Sizes { log, ahead, reserve: RESERVE, pending: PENDING };
        let writer = Writer::open(Arc::new(disk.clone()), health.clone(), sizes, Box::new(spawn), &|_| None)?;
        let state = State { queue: VecDeque::new(), silent: Vec::new(), writer: None };
        let (core, state) = (writer.core(), Mutex::new(State { writer: Some(writer), ..state }));
        Ok(Engine { core, health, jobs, state })
    }

    /// How many writes wait.
    pub fn waiting(&self) -> usize {
        lock(&self.state).queue.len()
    }

    /// Does the first of those that wait, so many at the most, as one batch. `false`: nobody knows any more what is on
    /// the disk, and the process would end here; from now on nobody is answered.
    pub fn turn(&self, most: usize) -> bool {
        let mut state = lock(&self.state);
        let State { writer, queue, .. } = &mut *state;
        let batch: Vec<Request> = queue.drain(..most.min(queue.len())).collect();
        let served = writer.as_mut().is_some_and(|writer| writer.serve(batch.into_iter()).is_ok());
        self.settle(&mut state, served)
    }

    /// Writes to the disk what may wait no longer. Returns as [`Engine::turn`].
    pub fn flush(&self) -> bool {
        let mut state = lock(&self.state);
        let flushed = state.writer.as_mut().is_some_and(|writer| writer.flush_lazy().is_ok());
        self.settle(&mut state, flushed)
    }

    /// Does one of the jobs that a thread of its own would do, if there is one.
    pub fn work(&self) {
        let job = lock(&self.jobs).pop_front();
        if let Some(job) = job {
            job();
        }
    }

    /// Ends in good order, with all that waits.
    pub fn close(&self) {
        while self.waiting() > 0 && self.turn(usize::MAX) {}
        while !lock(&self.jobs).is_empty() {
            self.work();
        }
        let writer = lock(&self.state).writer.take();
        if let Some(writer) = writer {
            writer.close();
        }
    }

    fn settle(&self, state: &mut State, well: bool) -> bool {
        if !well {
            state.writer = None;
            while let Some(request) = state.queue.pop_front() {
                if let Request::Commit { answer, .. } = request {
                    state.silent.push(answer);
                }
            }
        }
        well
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Store for Engine {
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
        let (answer, answered) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            match state.writer {
                Some(_) => state.queue.push_back(Request::Commit { write, answer }),
                None => state.silent.push(answer),
            }
        }
        answered.await.map_err(|_| Error::Io("the store has stopped".to_owned()))?
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.core.watch(prefix, after)
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.core.compact(revision)
    }
}
