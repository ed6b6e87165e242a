//! Priority and fairness (upstream: `apiserver/pkg/util/flowcontrol`): how many requests run at once, and who is next.
//!
//! A request is classified by the first flow schema that matches, and asks the schema's level for seats, as many as its
//! work is wide. Deciders are pure: [`queues`] (whose turn it is in a level), [`borrow`] (how many seats each level has),
//! [`config`] (what the objects say), [`ensure`] (what objects there have to be). This file and [`level`] carry out.

pub mod allocate;
pub mod borrow;
pub mod budget;
pub mod config;
pub mod deal;
pub mod demand;
pub mod dump;
pub mod ensure;
pub mod follow;
pub mod intake;
pub mod level;
pub mod outlet;
pub mod queues;
pub mod report;
pub mod retry;
pub mod schema;
mod subjects;
mod table;
pub mod tally;
pub mod timing;
pub mod turn;
pub mod watchers;
pub mod work;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use http::HeaderValue;
use meta::{Attributes, Object};
use tokio::time::Instant;

use crate::limits;
use crate::route::Route;
use budget::Budget;
use level::{Asked, Guest};
use queues::Why;
use table::Table;
use turn::{Seat, Turn, waiting};
use watchers::Watchers;
use work::{Size, Work};

/// How many requests run at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Seats of the whole server.
    pub seats: u32,
}

impl Default for Limits {
    /// Upstream's `--max-requests-inflight` and `--max-mutating-requests-inflight` together.
    fn default() -> Self {
        Limits { seats: 600 }
    }
}

/// Who was classified how: the uids of level and schema, as answers name them.
#[derive(Clone, Debug)]
pub struct Class {
    /// Of the level.
    pub level: HeaderValue,
    /// Of the schema.
    pub schema: HeaderValue,
}

/// A refusal: 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Seconds after which one who was sent away may come again.
    pub retry_after: u32,
}

/// The bounds, and who is within them.
pub struct Flow {
    total: u32,
    began: Instant,
    table: RwLock<Arc<Table>>,
    /// What the table was made of. Locked while another one is made.
    objects: Mutex<(Vec<Object>, Vec<Object>)>,
    tickets: AtomicU64,
    reading: Arc<AtomicUsize>,
    writing: Arc<AtomicUsize>,
    budget: Arc<Budget>,
    watchers: Arc<Watchers>,
    /// The part of its target that a level gets, as a float's bits.
    fraction: AtomicU64,
}

impl Flow {
    /// With these bounds, and the mandatory configuration.
    pub fn new(limits: Limits) -> Self {
        let began = Instant::now();
        let table = Table::default().configured(&[], &[], limits.seats, began);
        Flow {
            total: limits.seats,
            began,
            table: RwLock::new(Arc::new(table)),
            objects: Mutex::default(),
            tickets: AtomicU64::new(1),
            reading: Arc::default(),
            writing: Arc::default(),
            budget: Budget::new(limits::BYTES),
            watchers: Arc::default(),
            fraction: AtomicU64::new(0),
        }
    }

    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    fn objects(&self) -> MutexGuard<'_, (Vec<Object>, Vec<Object>)> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works by these objects from now on. Returns each schema's name, and whether its level is there.
    pub fn configure(&self, levels: Vec<Object>, schemas: Vec<Object>) -> Vec<(String, bool)> {
        let mut objects = self.objects();
        *objects = (levels, schemas);
        let table = self.table().configured(&objects.0, &objects.1, self.total, self.began);
        let found = table.found.clone();
        self.replace(table);
        drop(objects);
        self.rebalance();
        found
    }

    /// Divides the seats anew, by what each level could have used since the last time (upstream: every ten seconds).
    pub fn rebalance(&self) {
        let objects = self.objects();
        let mut table = self.table();
        if table.levels.iter().any(|placed| placed.leaving && placed.level.is_idle()) {
            table = Arc::new(table.configured(&objects.0, &objects.1, self.total, self.began));
        }
        let (balanced, fraction) = table.balanced();
        self.fraction.store(fraction.to_bits(), Ordering::Relaxed);
        self.replace(balanced);
        drop(objects);
    }

    /// Waits for a turn. `None` for streams, which need none. `size` tells how much is stored of what is asked for.
    pub async fn enter(
        &self,
        route: &mut Route,
        size: impl FnOnce(&Attributes) -> Option<Size>,
    ) -> Result<Option<Arc<Turn>>, TooMany> {
        let watch = route.attributes.verb == "watch";
        if route.is_long_running() && !watch {
            return Ok(None);
        }
        let table = self.table();
        let a = &route.attributes;
        let Some(row) = table.classify(a) else { return Ok(None) };
        let (flowing, placed) = (&table.schemas[row], &table.levels[table.schemas[row].level]);
        let (level, tally) = (&placed.level, &flowing.tally);
        let work = match &*a.verb {
            "list" | "watch" => Work::of_list(a, &route.query, size(a), placed.seats.widest),
            "create" | "update" | "patch" | "delete" if a.is_resource() => {
                let watchers = self.watchers.of(a);
                tally.watchers.observe(f64::from(watchers));
                Work::of_write(a, watchers, placed.seats.widest)
            }
            _ => Work::ONE,
        };
        tally.seats.observe(f64::from(work.seats()));
        let hash = table.hash(flowing, a);
        let (ticket, started) = (self.tickets.fetch_add(1, Ordering::Relaxed), Instant::now());
        route.class = Some(flowing.class(placed));
        let a = &route.attributes;
        let arrived = started.saturating_duration_since(self.began);
        let guest = Guest::new(tally.schema.clone(), &a.user.name, &a.verb, &a.path, arrived);
        let refuse = |why| {
            tally.refuse(why, started.elapsed());
            TooMany { retry_after: level.refused(why == Why::TimeOut) }
        };
        if !placed.is_exempt() && self.budget.is_over(&a.user.name) {
            return Err(refuse(Why::ConcurrencyLimit));
        }
        // Who does not wait begins when it came: the clock is looked at once.
        let (place, began) = match level.ask(started, ticket, work, hash, &guest) {
            Asked::Run(place) => (place, started),
            Asked::Wait(wait, length) => {
                tally.lengths.observe(length as f64);
                (Some(waiting(tally, work, wait).await.map_err(refuse)?), Instant::now())
            }
            Asked::Refused(why) => return Err(refuse(why)),
        };
        if !placed.is_exempt() {
            tally.waited.0.observe(began.saturating_duration_since(started).as_secs_f64());
        }
        let reads = matches!(&*a.verb, "get" | "list" | "watch");
        let running = if reads { self.reading.clone() } else { self.writing.clone() };
        let (level, tally, budget) = (level.clone(), tally.clone(), self.budget.clone());
        let turn = Turn::new(Seat { level, tally, running, budget, guest, ticket, work, place, began, watch });
        if let Some(watching) = watch.then(|| self.watchers.register(a)).flatten() {
            // Nobody else has the turn yet.
            let _ = turn.watching.set(watching);
        }
        Ok(Some(turn))
    }

    /// Requests that run now: reading, writing.
    pub fn running(&self) -> (usize, usize) {
        (self.reading.load(Ordering::Relaxed), self.writing.load(Ordering::Relaxed))
    }

    /// What the last division gave a level at none of its bounds, as a part of its target.
    pub fn fraction(&self) -> f64 {
        f64::from_bits(self.fraction.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
