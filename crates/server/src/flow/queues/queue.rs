//! One queue, and those in it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use super::{Ticket, Virtual};
use crate::flow::work::Work;

/// How long a request is taken to run until it has; corrected when it ends.
pub const ESTIMATE: Duration = Duration::from_millis(3);

/// By ticket. Tickets are numbers that nobody outside can choose: they need no mixing.
pub type ByTicket<T> = HashMap<Ticket, T, BuildHasherDefault<Plain>>;

/// Takes a number as its own hash, spread over all bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// So many seats for so long.
pub fn seat_time(seats: u32, time: Duration) -> Virtual {
    Virtual::from(seats) * time.as_nanos() as Virtual
}

/// What a request is expected to occupy. All its seats are taken from its beginning to the end of its lingering, and so
/// they are what its queue is charged (upstream charges less, and its virtual time outruns its queues).
pub fn total(work: Work) -> Virtual {
    seat_time(work.seats(), ESTIMATE + work.linger)
}

/// Virtual time in seat seconds.
pub fn seconds(time: Virtual) -> f64 {
    time as f64 / 1e9
}

/// One who waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub ticket: Ticket,
    pub work: Work,
    /// Virtual time of its arrival.
    pub arrived: Virtual,
}

/// One queue that has somebody. Others do not exist.
#[derive(Debug, Default)]
pub struct Queue {
    pub waiting: VecDeque<Waiting>,
    /// Virtual time at which its next request starts.
    pub next: Virtual,
    pub executing: usize,
    pub seats: u32,
    /// Seats of those who run, and the same times when each began: what they have had so far needs no looking at each.
    running: u32,
    begun: Virtual,
    /// Seats and work of those who wait.
    pub seats_waiting: u32,
    pub work_waiting: Virtual,
}

impl Queue {
    /// Somebody runs from now on.
    pub fn starts(&mut self, seats: u32, now: Duration) {
        self.executing += 1;
        self.running += seats;
        self.begun += seat_time(seats, now);
    }

    /// Somebody who has run since then has ended.
    pub fn ends(&mut self, seats: u32, started: Duration) {
        self.executing -= 1;
        self.running -= seats;
        self.begun -= seat_time(seats, started);
    }

    /// Virtual time at which its next request starts, what the running ones took beyond their estimate included (unlike
    /// upstream, which counts that when they end: whoever is slow would have more than others until then).
    pub fn start(&self, now: Duration) -> Virtual {
        let beyond = seat_time(self.running, now) - self.begun - seat_time(self.running, ESTIMATE);
        self.next + beyond.max(0)
    }

    /// One more waits; `first`: before all others.
    pub fn waits(&mut self, one: Waiting, first: bool) {
        self.seats_waiting += one.work.seats();
        self.work_waiting += total(one.work);
        if first { self.waiting.push_front(one) } else { self.waiting.push_back(one) }
    }

    /// Takes somebody out.
    pub fn take(&mut self, at: usize) -> Option<Waiting> {
        let one = self.waiting.remove(at)?;
        self.seats_waiting -= one.work.seats();
        self.work_waiting -= total(one.work);
        Some(one)
    }
}

/// One who runs.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub queue: Option<u32>,
    pub work: Work,
    pub started: Duration,
    /// It has ended; its seats are still counted.
    pub lingers: bool,
}

/// What happened at the last dispatch, for the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Virtual time.
    pub now: f64,
    /// Virtual time of the last dispatch.
    pub dispatched: f64,
    /// Virtual start of the last request that was dispatched.
    pub start: f64,
    /// Lowest and highest virtual start over the queues.
    pub starts: (f64, f64),
    /// The same less what runs already.
    pub discounted: (f64, f64),
}

/// Why a request was refused, in the words of upstream's metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its queue is full.
    QueueFull,
    /// There is no queue, and no seat.
    ConcurrencyLimit,
    /// It waited for too long.
    TimeOut,
}
