//! Who may fetch: so many images at once, and only some of them of one registry. A registry that says nothing is in
//! nobody's way but its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::limits;

/// The turns of one store.
#[derive(Debug)]
pub(super) struct Turns {
    all: usize,
    each: usize,
    patience: Duration,
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    /// In the order in which they came.
    waiting: Vec<(u64, Arc<str>)>,
    taken: HashMap<u64, Taken>,
    hosts: HashMap<Arc<str>, Host>,
}

#[derive(Debug)]
struct Taken {
    host: Arc<str>,
    since: Instant,
    give_way: CancellationToken,
}

/// What was heard from a registry that has turns.
#[derive(Debug)]
struct Host {
    turns: usize,
    bytes: u64,
    progress: Instant,
}

/// A turn, or a place in the queue; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    number: u64,
    host: Arc<str>,
    give_way: CancellationToken,
}

impl Turns {
    pub(super) fn new() -> Arc<Self> {
        Self::of(limits::PULLS, limits::PULLS_EACH, limits::PATIENCE)
    }

    fn of(all: usize, each: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { all, each, patience, table: Mutex::default(), changed: Notify::new() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn: first come, first served, but a registry that has its share holds nobody else up.
    pub(super) async fn take(self: &Arc<Self>, host: &str) -> Turn {
        let host: Arc<str> = host.into();
        let turn = {
            let mut table = self.table();
            table.last += 1;
            let number = table.last;
            table.waiting.push((number, host.clone()));
            Turn { turns: self.clone(), number, host, give_way: CancellationToken::new() }
        };
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let look_again = match self.admit(&turn) {
                Admitted::Now => return turn,
                Admitted::Later(at) => at,
            };
            match look_again {
                Some(at) => drop(tokio::time::timeout_at(at, changed).await),
                None => changed.await,
            }
        }
    }

    fn admit(&self, turn: &Turn) -> Admitted {
        let mut table = self.table();
        let next = table.waiting.iter().position(|(_, host)| table.turns(host) < self.each);
        let Some(next) = next.filter(|at| table.waiting[*at].0 == turn.number) else { return Admitted::Later(None) };
        if table.taken.len() >= self.all {
            return Admitted::Later(self.make_room(&mut table));
        }
        table.waiting.remove(next);
        let now = Instant::now();
        let host = table.hosts.entry(turn.host.clone()).or_insert(Host { turns: 0, bytes: 0, progress: now });
        host.turns += 1;
        let taken = Taken { host: turn.host.clone(), since: now, give_way: turn.give_way.clone() };
        table.taken.insert(turn.number, taken);
        drop(table);
        // The next one may have a turn as well.
        self.changed.notify_waiters();
        Admitted::Now
    }

    /// Ends the turn that has been silent longest, if that is long enough; else says when it will be.
    fn make_room(&self, table: &mut Table) -> Option<Instant> {
        let heard = |taken: &Taken| table.hosts.get(&taken.host).map_or(taken.since, |h| h.progress.max(taken.since));
        if table.taken.values().any(|taken| taken.give_way.is_cancelled()) {
            return None;
        }
        let (at, silent) = table.taken.values().map(|taken| (heard(taken), taken)).min_by_key(|(at, _)| *at)?;
        let due = at + self.patience;
        if due > Instant::now() {
            return Some(due);
        }
        silent.give_way.cancel();
        None
    }
}

enum Admitted {
    Now,
    /// When something changes, or then.
    Later(Option<Instant>),
}

impl Table {
    fn turns(&self, host: &Arc<str>) -> usize {
        self.hosts.get(host).map_or(0, |host| host.turns)
    }
}

/// Hears what a registry sends, whoever it is for.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    turns: Arc<Turns>,
    host: Arc<str>,
}

impl Ear {
    /// The registry has sent something.
    pub(super) fn heard(&self, bytes: u64) {
        let mut table = self.turns.table();
        if let Some(host) = table.hosts.get_mut(&self.host) {
            host.bytes += bytes;
            if host.bytes >= limits::PROGRESS {
                (host.bytes, host.progress) = (0, Instant::now());
            }
        }
    }
}

impl Turn {
    /// What tells of progress.
    pub(super) fn ear(&self) -> Ear {
        Ear { turns: self.turns.clone(), host: self.host.clone() }
    }

    /// Waits until others need this turn more.
    pub(super) async fn gives_way(&self) {
        self.give_way.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut table = self.turns.table();
        table.waiting.retain(|(number, _)| *number != self.number);
        if table.taken.remove(&self.number).is_some()
            && let Some(host) = table.hosts.get_mut(&self.host)
        {
            host.turns -= 1;
            if host.turns == 0 {
                table.hosts.remove(&self.host);
            }
        }
        drop(table);
        self.turns.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_registry_has_its_share_and_keeps_nobody_else_waiting() {
        let turns = Turns::of(4, 2, 5 * SECOND);
        let first = turns.take("dead").await;
        let _second = turns.take("dead").await;
        let mut third = Box::pin(turns.take("dead"));
        assert!(third.as_mut().now_or_never().is_none(), "its share is taken");
        let other = turns.take("alive").now_or_never();
        assert!(other.is_some(), "who came later, but is another's, goes first");
        drop(first);
        drop(third.await);
        drop(other);
        drop(_second);
        let table = turns.table();
        assert!(table.hosts.is_empty() && table.taken.is_empty() && table.waiting.is_empty(), "{table:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_taken_who_is_silent_gives_way() {
        let turns = Turns::of(3, 1, 5 * SECOND);
        let (one, two, three) = (turns.take("a").await, turns.take("b").await, turns.take("c").await);
        tokio::time::advance(4 * SECOND).await;
        one.ear().heard(limits::PROGRESS);
        two.ear().heard(limits::PROGRESS - 1);
        three.ear().heard(limits::PROGRESS);
        let begun = Instant::now();
        let fetch = async {
            two.gives_way().await;
            drop(two);
        };
        let (new, ()) = tokio::join!(turns.take("d"), fetch);
        assert_eq!(begun.elapsed().as_secs(), 1, "the one that had nothing for five seconds");
        let silent = |turn: &Turn| turn.give_way.is_cancelled();
        assert!(!silent(&one) && !silent(&three) && !silent(&new));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_leaves_no_gap() {
        let turns = Turns::of(1, 1, 5 * SECOND);
        let holder = turns.take("a").await;
        let mut gone = Box::pin(turns.take("b"));
        let mut next = Box::pin(turns.take("c"));
        assert!(gone.as_mut().now_or_never().is_none() && next.as_mut().now_or_never().is_none());
        drop(gone);
        drop(holder);
        assert_eq!(&*next.await.host, "c");
    }
}
