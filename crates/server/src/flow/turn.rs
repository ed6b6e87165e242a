//! A request's turn: the seats that it holds from the moment when it was let in until its answer was taken.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use meta::{Reason, Status};
use tokio::time::Instant;

use super::budget::{Budget, Share};
use super::level::{Asked, Guest, Level, Wait};
use super::queues::{Ticket, Why};
use super::tally::Tally;
use super::watchers::Watching;
use super::work::Work;

/// The longest wait for a seat.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// Where a turn is.
const HELD: u8 = 0;
const LENT: u8 = 1;
const OVER: u8 = 2;

/// Seats of one request.
pub struct Turn {
    pub(super) level: Arc<Level>,
    pub(super) tally: Arc<Tally>,
    /// Requests of its sort that run.
    pub(super) running: Arc<AtomicUsize>,
    pub(super) budget: Arc<Budget>,
    pub(super) guest: Arc<Guest>,
    pub(super) ticket: Ticket,
    pub(super) work: Work,
    pub(super) place: Option<u32>,
    pub(super) began: Instant,
    /// It is the beginning of a watch.
    pub(super) watch: bool,
    pub(super) watching: OnceLock<Watching>,
    state: AtomicU8,
}

/// What a new turn is made of.
pub(super) struct Seat {
    pub level: Arc<Level>,
    pub tally: Arc<Tally>,
    pub running: Arc<AtomicUsize>,
    pub budget: Arc<Budget>,
    pub guest: Arc<Guest>,
    pub ticket: Ticket,
    pub work: Work,
    pub place: Option<u32>,
    pub began: Instant,
    pub watch: bool,
}

impl Turn {
    /// The seats were given.
    pub(super) fn new(seat: Seat) -> Arc<Self> {
        let Seat { level, tally, running, budget, guest, ticket, work, place, began, watch } = seat;
        tally.dispatched.fetch_add(1, Ordering::Relaxed);
        running.fetch_add(1, Ordering::Relaxed);
        Tally::change(&tally.executing, 1, i64::from(work.seats()));
        let (state, watching) = (AtomicU8::new(HELD), OnceLock::new());
        Arc::new(Turn { level, tally, running, budget, guest, ticket, work, place, began, watch, watching, state })
    }

    /// The moment so long after its beginning.
    pub fn after(&self, time: std::time::Duration) -> Instant {
        self.began + time
    }

    /// A share of the bytes that its user may hold.
    pub fn share(&self) -> Share {
        self.budget.share(self.guest.user())
    }

    /// Gives the seats back for as long as the client makes the server wait. `false`: they are not held.
    pub fn lend(&self) -> bool {
        if self.state.compare_exchange(HELD, LENT, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return false;
        }
        self.unseat();
        self.level.lend(self.ticket);
        true
    }

    /// Takes the seats again.
    pub async fn resume(self: Arc<Self>) -> Result<(), Status> {
        let started = Instant::now();
        let refuse = |why| {
            self.tally.refuse(why, started.elapsed());
            let mut status = Status::new(Reason::TooManyRequests, "Too many requests, please try again later.");
            status.retry_after = self.level.refused(why == Why::TimeOut);
            status
        };
        match self.level.resume(self.ticket, self.work, self.place) {
            Asked::Run(_) => {}
            Asked::Wait(wait, _) => drop(self.wait(wait).await.map_err(refuse)?),
            Asked::Refused(why) => return Err(refuse(why)),
        }
        self.running.fetch_add(1, Ordering::Relaxed);
        Tally::change(&self.tally.executing, 1, i64::from(self.work.seats()));
        if self.state.compare_exchange(LENT, HELD, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // It ended meanwhile.
            self.unseat();
            self.level.lend(self.ticket);
        }
        Ok(())
    }

    async fn wait(&self, wait: Wait) -> Result<u32, Why> {
        waiting(&self.tally, self.work, wait).await
    }

    /// Ends it. What comes after the first call does nothing.
    pub fn end(&self) {
        if self.state.swap(OVER, Ordering::AcqRel) != HELD {
            return;
        }
        self.unseat();
        let ran = if self.watch { &self.tally.ran.0 } else { &self.tally.ran.1 };
        let now = Instant::now();
        ran.observe(now.saturating_duration_since(self.began).as_secs_f64());
        let Some(linger) = self.level.finish(now, self.ticket) else { return };
        let (level, ticket) = (self.level.clone(), self.ticket);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                tokio::time::sleep(linger).await;
                level.release(ticket);
            })),
            Err(_) => level.release(ticket),
        }
    }

    fn unseat(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        Tally::change(&self.tally.executing, -1, -i64::from(self.work.seats()));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end();
    }
}

/// Counts one who waits for as long as it does.
struct Queued<'a>(&'a Tally, i64);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        Tally::change(&self.0.waiting, -1, -self.1);
    }
}

/// Waits for seats, but not for ever.
pub(super) async fn waiting(tally: &Tally, work: Work, wait: Wait) -> Result<u32, Why> {
    let seats = i64::from(work.seats());
    Tally::change(&tally.waiting, 1, seats);
    let _queued = Queued(tally, seats);
    tokio::time::timeout(PATIENCE, wait.seated()).await.map_err(|_| Why::TimeOut)
}
