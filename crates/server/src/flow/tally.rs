//! Figures of one schema in one level (upstream: `flowcontrol/metrics`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::queues::Why;

/// A histogram whose bounds are a constant.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// Upper bounds; beyond the last there is one more.
    pub bounds: [f64; N],
    counts: [AtomicU64; N],
    beyond: AtomicU64,
    /// Millionths.
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    const fn new(bounds: [f64; N]) -> Self {
        let (counts, beyond) = ([const { AtomicU64::new(0) }; N], AtomicU64::new(0));
        Histogram { bounds, counts, beyond, sum: AtomicU64::new(0) }
    }

    /// One more value.
    pub fn observe(&self, value: f64) {
        let at = self.bounds.iter().position(|bound| value <= *bound);
        at.map_or(&self.beyond, |at| &self.counts[at]).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((value * 1e6) as u64, Ordering::Relaxed);
    }

    /// Cumulated counts with their bounds, the sum, and the number of all.
    pub fn read(&self) -> (Vec<(f64, u64)>, f64, u64) {
        let mut all = 0;
        let counted = self.bounds.iter().zip(&self.counts).map(|(bound, count)| {
            all += count.load(Ordering::Relaxed);
            (*bound, all)
        });
        let counted = counted.collect();
        (counted, self.sum.load(Ordering::Relaxed) as f64 / 1e6, all + self.beyond.load(Ordering::Relaxed))
    }
}

/// Upper bounds of times, in seconds.
pub const TIMES: [f64; 13] = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];
/// Of the length of a queue.
pub const LENGTHS: [f64; 8] = [0.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
/// Of seats.
pub const SEATS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0];
/// Of watchers.
pub const WATCHES: [f64; 6] = [0.0, 1.0, 10.0, 100.0, 1000.0, 10_000.0];

/// All figures.
#[derive(Debug)]
pub struct Tally {
    /// Name of the level.
    pub level: String,
    /// Name of the schema.
    pub schema: Arc<str>,
    /// Requests that were let run.
    pub dispatched: AtomicU64,
    rejected: [AtomicU64; 3],
    /// Requests and seats that wait.
    pub waiting: (AtomicI64, AtomicI64),
    /// Requests and seats that run.
    pub executing: (AtomicI64, AtomicI64),
    /// Times waited by those that ran, and by those that did not.
    pub waited: (Histogram<13>, Histogram<13>),
    /// Times run, of watches (their beginning) and of others.
    pub ran: (Histogram<13>, Histogram<13>),
    /// Length of the queue as each found it.
    pub lengths: Histogram<8>,
    /// Seats of each.
    pub seats: Histogram<8>,
    /// Watchers of each change.
    pub watchers: Histogram<6>,
}

/// Reasons of a refusal, as the metric names them.
pub const REASONS: [(Why, &str); 3] =
    [(Why::QueueFull, "queue-full"), (Why::ConcurrencyLimit, "concurrency-limit"), (Why::TimeOut, "time-out")];

impl Tally {
    /// Nothing counted yet.
    pub fn new(level: &str, schema: &str) -> Self {
        Tally {
            level: level.to_owned(),
            schema: schema.into(),
            dispatched: AtomicU64::new(0),
            rejected: [const { AtomicU64::new(0) }; 3],
            waiting: Default::default(),
            executing: Default::default(),
            waited: (Histogram::new(TIMES), Histogram::new(TIMES)),
            ran: (Histogram::new(TIMES), Histogram::new(TIMES)),
            lengths: Histogram::new(LENGTHS),
            seats: Histogram::new(SEATS),
            watchers: Histogram::new(WATCHES),
        }
    }

    /// One was refused after it had waited so long.
    pub fn refuse(&self, why: Why, waited: Duration) {
        if let Some(at) = REASONS.iter().position(|(reason, _)| *reason == why) {
            self.rejected[at].fetch_add(1, Ordering::Relaxed);
        }
        self.waited.1.observe(waited.as_secs_f64());
    }

    /// Refusals for each of [`REASONS`].
    pub fn refused(&self) -> [u64; 3] {
        std::array::from_fn(|at| self.rejected[at].load(Ordering::Relaxed))
    }

    /// So many more requests and seats wait or run.
    pub fn change(of: &(AtomicI64, AtomicI64), requests: i64, seats: i64) {
        of.0.fetch_add(requests, Ordering::Relaxed);
        of.1.fetch_add(seats, Ordering::Relaxed);
    }
}
