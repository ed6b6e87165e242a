//! What is kept for how long: history is forgotten after a while, and objects of kinds with a time to live go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use meta::Encoded;
use store::{Durability, Expect, Op, Store, Write};
use tokio::time::Instant;

use crate::cache::{Cache, Feed};

/// History is kept this long (as upstream's compactor) …
const HISTORY: Duration = Duration::from_secs(300);
/// … but no more than about this many revisions of it, so that a storm of writes does not fill the memory.
const REVISIONS: u64 = 50_000;

/// Forgets what is old until it is dropped.
pub(crate) async fn run(store: Arc<dyn Store>, feed: Arc<Feed>, mortal: Vec<Mortal>) {
    let mut progress = feed.progress();
    let mut clock = Clock::default();
    clock.note(Instant::now(), feed.revision());
    loop {
        let storm = clock.newest() + REVISIONS;
        // Elapsed: the usual tick. Otherwise the storm: keep the newer half of it.
        let woken = async { tokio::time::timeout(HISTORY, progress.wait_for(|reached| *reached >= storm)).await.is_ok() };
        let is_storm = woken.await;
        let before = if is_storm { storm - REVISIONS / 2 } else { clock.newest() };
        clock.note(Instant::now(), feed.revision());
        compact(&*store, before).await;
        expire(&*store, &mortal, &clock).await;
        clock.forget(mortal.iter().map(|m| m.time_to_live).max().unwrap_or_default());
    }
}

/// A storage prefix whose objects go some time after their last change.
#[derive(Clone)]
pub(crate) struct Mortal {
    pub cache: Arc<Cache>,
    pub time_to_live: Duration,
}

/// Which revision was reached when. The store does not know times.
#[derive(Default)]
struct Clock(VecDeque<(Instant, u64)>);

impl Clock {
    fn note(&mut self, now: Instant, revision: u64) {
        self.0.push_back((now, revision));
    }

    fn newest(&self) -> u64 {
        self.0.back().map_or(0, |(_, revision)| *revision)
    }

    /// Drops what no age up to this one asks for.
    fn forget(&mut self, age: Duration) {
        while self.0.get(1).is_some_and(|(at, _)| at.elapsed() >= age) {
            self.0.pop_front();
        }
    }

    /// The newest revision known to be at least so old; 0 if none is.
    fn before(&self, age: Duration) -> u64 {
        let old = self.0.iter().take_while(|(at, _)| at.elapsed() >= age);
        old.last().map_or(0, |(_, revision)| *revision)
    }
}

async fn compact(store: &dyn Store, before: u64) {
    if before <= store.oldest() {
        return;
    }
    match store.compact(before).await {
        Ok(()) => tracing::debug!(rv = before, "history compacted"),
        Err(error) => tracing::warn!(%error, rv = before, "history cannot be compacted"),
    }
}

/// Deletes objects that were last written too long ago. One that is changed meanwhile stays.
async fn expire(store: &dyn Store, mortal: &[Mortal], clock: &Clock) {
    for one in mortal {
        let limit = clock.before(one.time_to_live);
        let (objects, _) = one.cache.snapshot();
        for object in objects.values().filter(|o| o.revision <= limit) {
            if let Err(error) = store.commit(end_of(&one.cache, object)).await {
                tracing::debug!(%error, name = %object.key, "an expired object stays");
            }
        }
    }
}

fn end_of(cache: &Cache, object: &Encoded) -> Write {
    let key = format!("{}{}", cache.prefix, object.key).into();
    Write { key, expect: Expect::Revision(object.revision), op: Op::Delete, durability: Durability::Lazy, note: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_knows_what_is_old() {
        let now = Instant::now();
        let Some(past) = now.checked_sub(Duration::from_secs(100)) else { return };
        let mut clock = Clock::default();
        clock.note(past, 5);
        clock.note(now, 9);
        assert_eq!(clock.before(Duration::from_secs(50)), 5);
        assert_eq!(clock.before(Duration::from_secs(200)), 0);
        assert_eq!(clock.newest(), 9);
        clock.forget(Duration::from_secs(50));
        assert_eq!(clock.before(Duration::from_secs(50)), 5);
    }
}
