//! One priority level at work: the thin executor of [`super::queues`]. It tells the time, and wakes whose turn it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::demand::Period;
use super::queues::{Arrival, ByTicket, Queues, Response, Ticket, Why};
use super::retry::Dropped;
use super::work::Work;

/// A level. It outlives changes of its configuration.
pub struct Level {
    /// Its name.
    pub name: String,
    began: Instant,
    inner: Mutex<Inner>,
}

/// What a level's lock guards.
pub(super) struct Inner {
    pub queues: Queues,
    /// Those who wait.
    doors: ByTicket<oneshot::Sender<()>>,
    /// Those who wait and those who run.
    pub guests: ByTicket<Arc<Guest>>,
    /// Whom this call lets run: kept to be filled again.
    started: Vec<Ticket>,
    pub dropped: Dropped,
    pub counts: Counts,
    /// By schema: how often one whose turn it was found too few seats.
    pub cramped: BTreeMap<Arc<str>, u64>,
}

/// What became of requests so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub dispatched: u64,
    pub rejected: u64,
    pub cancelled: u64,
}

/// Who a request is, for those who look at the level.
#[derive(Debug)]
pub struct Guest {
    /// The schema that matched.
    pub schema: Arc<str>,
    /// Who asks, for what, and where: one after the other.
    text: Box<str>,
    /// Where the first two end.
    ends: (usize, usize),
    /// When it came, from the level's beginning.
    pub arrived: Duration,
}

impl Guest {
    /// One of that schema.
    pub fn new(schema: Arc<str>, user: &str, verb: &str, path: &str, arrived: Duration) -> Arc<Self> {
        let text = [user, verb, path].concat().into_boxed_str();
        Arc::new(Guest { schema, text, ends: (user.len(), user.len() + verb.len()), arrived })
    }

    /// Who asks.
    pub fn user(&self) -> &str {
        &self.text[..self.ends.0]
    }

    /// For what.
    pub fn verb(&self) -> &str {
        &self.text[self.ends.0..self.ends.1]
    }

    /// Where.
    pub fn path(&self) -> &str {
        &self.text[self.ends.1..]
    }
}

/// What a level says to one who wants seats.
pub enum Asked {
    /// It has them.
    Run(Option<u32>),
    /// It waits; the length of its queue.
    Wait(Wait, usize),
    /// It gets none.
    Refused(Why),
}

impl Inner {
    /// Opens the doors of all who were let in.
    fn open(&mut self) {
        if let Some(guest) = self.queues.cramped.take().and_then(|ticket| self.guests.get(&ticket)) {
            *self.cramped.entry(guest.schema.clone()).or_default() += 1;
        }
        for ticket in self.started.drain(..) {
            if let Some(door) = self.doors.remove(&ticket) {
                // Who left in this moment gives the seat back when its wait is dropped.
                let _ = door.send(());
            }
        }
    }
}

impl Level {
    /// A level without requests.
    pub fn new(name: &str, response: Response, seats: u32, began: Instant) -> Arc<Self> {
        let inner = Inner {
            queues: Queues::new(response, seats),
            doors: ByTicket::default(),
            guests: ByTicket::default(),
            started: Vec::new(),
            dropped: Dropped::default(),
            counts: Counts::default(),
            cramped: BTreeMap::new(),
        };
        Arc::new(Level { name: name.to_owned(), began, inner: Mutex::new(inner) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Somebody wants seats, now. `hash` is its flow's.
    pub fn ask(self: &Arc<Self>, now: Instant, ticket: Ticket, work: Work, hash: u64, guest: &Arc<Guest>) -> Asked {
        let (mut guard, now) = (self.lock(), now.saturating_duration_since(self.began));
        let inner = &mut *guard;
        inner.guests.insert(ticket, guest.clone());
        let arrival = inner.queues.arrive(now, ticket, work, hash, &mut inner.started);
        self.answer(inner, ticket, arrival, true)
    }

    /// Somebody who gave its seats back wants them again.
    pub fn resume(self: &Arc<Self>, ticket: Ticket, work: Work, place: Option<u32>) -> Asked {
        let (mut guard, now) = (self.lock(), self.now());
        let inner = &mut *guard;
        let arrival = inner.queues.resume(now, ticket, work, place, &mut inner.started);
        self.answer(inner, ticket, arrival, false)
    }

    fn answer(self: &Arc<Self>, inner: &mut Inner, ticket: Ticket, arrival: Arrival, first: bool) -> Asked {
        inner.open();
        match arrival {
            Arrival::Run(place) => {
                inner.counts.dispatched += u64::from(first);
                Asked::Run(place)
            }
            Arrival::Wait(place, length) => {
                let (door, opened) = oneshot::channel();
                inner.doors.insert(ticket, door);
                Asked::Wait(Wait { level: self.clone(), ticket, place, first, opened, over: false }, length)
            }
            Arrival::Refuse(why) => {
                inner.guests.remove(&ticket);
                Asked::Refused(why)
            }
        }
    }

    /// Somebody who ran has ended, now. `Some`: its seats are to be [`Level::release`]d after that time.
    pub fn finish(&self, now: Instant, ticket: Ticket) -> Option<Duration> {
        let (mut guard, now) = (self.lock(), now.saturating_duration_since(self.began));
        let inner = &mut *guard;
        inner.guests.remove(&ticket);
        let linger = inner.queues.finish(now, ticket, &mut inner.started);
        inner.open();
        linger
    }

    /// Gives the seats of one who runs back for a while.
    pub fn lend(&self, ticket: Ticket) {
        let (mut guard, now) = (self.lock(), self.now());
        let inner = &mut *guard;
        inner.queues.lend(now, ticket, &mut inner.started);
        inner.open();
    }

    /// The seats of one who has ended are free.
    pub fn release(&self, ticket: Ticket) {
        let (mut guard, now) = (self.lock(), self.now());
        let inner = &mut *guard;
        inner.queues.release(now, ticket, &mut inner.started);
        inner.open();
    }

    /// Other rules from now on.
    pub fn configure(&self, response: Response, seats: u32) {
        let (mut guard, now) = (self.lock(), self.now());
        let inner = &mut *guard;
        inner.queues.configure(now, response, seats, &mut inner.started);
        inner.open();
    }

    /// The demand since the last call.
    pub fn demand(&self) -> Period {
        let (mut inner, now) = (self.lock(), self.now());
        inner.queues.demand.reset(now)
    }

    /// Whether nobody is there.
    pub fn is_idle(&self) -> bool {
        self.lock().queues.is_idle()
    }

    /// Notes a refusal; returns after how many seconds one may come again.
    pub fn refused(&self, cancelled: bool) -> u32 {
        let (mut inner, now) = (self.lock(), self.now());
        inner.counts.rejected += 1;
        inner.counts.cancelled += u64::from(cancelled);
        inner.dropped.note(now.as_secs())
    }
}

/// Somebody's place in a queue. Dropped, it is given up, and the seats with it if they were given meanwhile.
pub struct Wait {
    level: Arc<Level>,
    ticket: Ticket,
    place: u32,
    /// It comes for the first time.
    first: bool,
    opened: oneshot::Receiver<()>,
    over: bool,
}

impl Wait {
    /// Waits for the seats; returns the queue.
    pub async fn seated(mut self) -> u32 {
        // The door is dropped unopened only with the level, which lives as long as this.
        let _ = (&mut self.opened).await;
        self.over = true;
        self.level.lock().counts.dispatched += u64::from(self.first);
        self.place
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (mut guard, now) = (self.level.lock(), self.level.now());
        let inner = &mut *guard;
        inner.guests.remove(&self.ticket);
        if inner.queues.cancel(now, self.ticket, self.place, &mut inner.started) {
            inner.doors.remove(&self.ticket);
        } else {
            inner.queues.lend(now, self.ticket, &mut inner.started);
        }
        inner.open();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const ONE: Response = Response::Queue { queues: 1, hand: 1, length: 2 };

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_leaves_nothing_behind() {
        let level = Level::new("a", ONE, 1, Instant::now());
        let guest = Guest::new("s".into(), "u", "get", "/x", Duration::ZERO);
        assert_eq!((guest.user(), guest.verb(), guest.path()), ("u", "get", "/x"));
        assert!(matches!(level.ask(Instant::now(), 1, Work::ONE, 0, &guest), Asked::Run(Some(0))));
        let Asked::Wait(second, 1) = level.ask(Instant::now(), 2, Work::ONE, 0, &guest) else { panic!("no wait") };
        let Asked::Wait(third, 2) = level.ask(Instant::now(), 3, Work::ONE, 0, &guest) else { panic!("no wait") };
        assert!(matches!(level.ask(Instant::now(), 4, Work::ONE, 0, &guest), Asked::Refused(Why::QueueFull)));
        drop(second);
        let mut third = Box::pin(third.seated());
        assert!((&mut third).now_or_never().is_none());
        level.finish(Instant::now(), 1);
        // Seated, and gone before it noticed.
        drop(third);
        assert!(level.is_idle() && level.lock().doors.is_empty());
        assert!(matches!(level.ask(Instant::now(), 5, Work::ONE, 0, &guest), Asked::Run(Some(0))));
    }
}
