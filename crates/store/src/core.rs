//! What every engine keeps in memory: all keys with their history, and the watchers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures::StreamExt;
use tokio::sync::mpsc;

use crate::history::History;
use crate::{Entry, Error, Event, Expect, Op, Page, Revision, Watch, Write};

/// Events that a watcher may be behind before it is cut off.
const WATCH_BUFFER: usize = 16_384;

/// Bytes of replaced and deleted values that are kept for readers of older revisions. Beyond that the older half is
/// compacted, however few revisions it is: history must not fill the memory. Some thousands of pods' states fit in: the
/// pages of a list that is being read. Those who watch resume from the watch cache.
const HISTORY: u64 = 8 << 20;

/// A change that is over. What it changed is in the history of its key.
struct Past {
    revision: Revision,
    key: Arc<str>,
    /// Bytes of what it replaced.
    replaced: u32,
}

struct Watcher {
    prefix: String,
    events: mpsc::Sender<Event>,
    lagged: Arc<AtomicBool>,
}

struct State {
    keys: BTreeMap<Arc<str>, History>,
    /// Every change after `oldest`, for watches that start in the past.
    changes: VecDeque<Past>,
    /// Keys whose history has more than its current value: what a compaction has to look at.
    touched: HashMap<Arc<str>, Revision>,
    revision: Revision,
    oldest: Revision,
    live_bytes: u64,
    /// Bytes of the values that `changes` have replaced.
    history_bytes: u64,
    watchers: Vec<Watcher>,
}

/// Keys, history and watchers behind one lock that is never held over I/O.
pub(crate) struct Core(RwLock<State>);

/// Writes of one batch that are checked but not yet visible.
#[derive(Default)]
pub(crate) struct Staged {
    latest: HashMap<Arc<str>, Option<Entry>>,
    /// Events in revision order.
    pub(crate) events: Vec<Event>,
}

impl Core {
    /// A core that holds these entries, all of its history before `revision` unknown.
    pub(crate) fn new(entries: Vec<Entry>, revision: Revision) -> Self {
        let live_bytes = entries.iter().map(size).sum();
        let keys = entries.into_iter().map(|e| (e.key.clone(), History::new((e.modified, Some(e))))).collect();
        Core(RwLock::new(State {
            keys,
            changes: VecDeque::new(),
            touched: HashMap::new(),
            revision,
            oldest: revision,
            live_bytes,
            history_bytes: 0,
            watchers: Vec::new(),
        }))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn revision(&self) -> Revision {
        self.read().revision
    }

    pub(crate) fn oldest(&self) -> Revision {
        self.read().oldest
    }

    /// Bytes of all current keys and values.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.read().live_bytes
    }

    /// All current entries, in key order, and the revision that they show.
    pub(crate) fn live(&self) -> (Vec<Entry>, Revision) {
        let state = self.read();
        (state.keys.values().filter_map(History::current).cloned().collect(), state.revision)
    }

    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        self.read().keys.get(key).and_then(History::current).cloned()
    }

    pub(crate) fn range(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page, Error> {
        let state = self.read();
        let revision = at.unwrap_or(state.revision);
        if revision > state.revision {
            return Err(Error::Future { asked: revision, current: state.revision });
        }
        if revision < state.oldest {
            return Err(Error::Compacted { asked: revision, oldest: state.oldest });
        }
        let from = match after {
            Some(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        let newest = revision == state.revision;
        let mut found = state
            .keys
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter_map(|(_, history)| if newest { history.current() } else { history.at(revision) });
        let limit = if limit == 0 { usize::MAX } else { limit };
        let entries: Vec<Entry> = found.by_ref().take(limit).cloned().collect();
        let remaining = found.count() as u64;
        Ok(Page { entries, revision, more: remaining > 0, remaining })
    }

    /// Checks a write against the current keys and the batch so far, and adds it to the batch
    /// under the given revision.
    pub(crate) fn stage(&self, staged: &mut Staged, write: Write, revision: Revision) -> Result<Entry, Error> {
        let previous = match staged.latest.get(&write.key) {
            Some(entry) => entry.clone(),
            None => self.get(&write.key),
        };
        let holds = match write.expect {
            Expect::Absent => previous.is_none(),
            Expect::Revision(r) => previous.as_ref().is_some_and(|e| e.modified == r),
        };
        // What is absent cannot be deleted, whatever was expected.
        if !holds || (previous.is_none() && matches!(write.op, Op::Delete)) {
            return Err(Error::Unexpected(previous));
        }
        let key = previous.as_ref().map_or(write.key, |e| e.key.clone());
        let entry = match write.op {
            Op::Delete => None,
            Op::Put(value) => {
                let created = previous.as_ref().map_or(revision, |e| e.created);
                Some(Entry { key: key.clone(), value, created, modified: revision })
            }
        };
        staged.latest.insert(key.clone(), entry.clone());
        let answer = entry.clone().or_else(|| previous.clone());
        staged.events.push(Event { revision, key, entry, previous, note: write.note });
        answer.ok_or(Error::Unexpected(None))
    }

    /// Makes a batch visible and tells the watchers.
    pub(crate) fn publish(&self, staged: Staged) {
        let mut state = self.write();
        for event in staged.events {
            state.apply(event);
        }
        if state.history_bytes > HISTORY {
            state.halve_history();
        }
    }

    /// Events after a revision: those kept, then those to come.
    pub(crate) fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        let mut state = self.write();
        if after > state.revision {
            return Err(Error::Future { asked: after, current: state.revision });
        }
        if after < state.oldest {
            return Err(Error::Compacted { asked: after, oldest: state.oldest });
        }
        let start = state.changes.partition_point(|change| change.revision <= after);
        let asked = state.changes.range(start..).filter(|change| change.key.starts_with(prefix));
        let past: Vec<Event> = asked.map(|change| state.event(change)).collect();
        let (events, receiver) = mpsc::channel(WATCH_BUFFER);
        let lagged = Arc::new(AtomicBool::new(false));
        state.watchers.push(Watcher { prefix: prefix.to_owned(), events, lagged: lagged.clone() });
        drop(state);
        let live = futures::stream::unfold((receiver, lagged, false), |(mut receiver, lagged, ended)| async move {
            if ended {
                return None;
            }
            match receiver.recv().await {
                Some(event) => Some((Ok(event), (receiver, lagged, false))),
                None if lagged.load(Ordering::Acquire) => Some((Err(Error::Lagged), (receiver, lagged, true))),
                None => None,
            }
        });
        Ok(futures::stream::iter(past.into_iter().map(Ok)).chain(live).boxed())
    }

    pub(crate) fn compact(&self, revision: Revision) -> Result<(), Error> {
        let mut state = self.write();
        if revision > state.revision {
            return Err(Error::Future { asked: revision, current: state.revision });
        }
        if revision < state.oldest {
            return Err(Error::Compacted { asked: revision, oldest: state.oldest });
        }
        state.compact(revision);
        Ok(())
    }

    /// Ends all watches; nothing will be published any more.
    pub(crate) fn close(&self) {
        self.write().watchers.clear();
    }
}

impl State {
    fn apply(&mut self, event: Event) {
        self.revision = event.revision;
        self.live_bytes += event.entry.as_ref().map_or(0, size);
        let replaced = event.previous.as_ref().map_or(0, size);
        self.live_bytes -= replaced;
        self.history_bytes += replaced;
        self.watchers.retain(|w| w.offer(&event));
        let replaced = u32::try_from(replaced).unwrap_or(u32::MAX);
        self.changes.push_back(Past { revision: event.revision, key: event.key.clone(), replaced });
        let version = (event.revision, event.entry);
        match self.keys.get_mut(&event.key) {
            Some(history) => {
                history.push(version);
                self.touched.insert(event.key, event.revision);
            }
            None => drop(self.keys.insert(event.key, History::new(version))),
        }
    }

    /// The change as watchers hear of it. All that is younger than `oldest`, and what it replaced, is still there.
    fn event(&self, change: &Past) -> Event {
        let history = self.keys.get(&change.key);
        let entry = history.and_then(|h| h.at(change.revision)).cloned();
        let previous = history.and_then(|h| h.at(change.revision.saturating_sub(1))).cloned();
        Event { revision: change.revision, key: change.key.clone(), entry, previous, note: None }
    }

    fn halve_history(&mut self) {
        let (mut left, mut oldest) = (self.history_bytes, self.oldest);
        for change in &self.changes {
            if left <= HISTORY / 2 {
                break;
            }
            left -= u64::from(change.replaced);
            oldest = change.revision;
        }
        self.compact(oldest);
    }

    fn compact(&mut self, oldest: Revision) {
        self.oldest = oldest;
        let gone = self.changes.partition_point(|change| change.revision <= oldest);
        let freed: u64 = self.changes.drain(..gone).map(|change| u64::from(change.replaced)).sum();
        self.history_bytes -= freed;
        // Give the memory of a burst back.
        if self.changes.capacity() > 4 * self.changes.len() + 1024 {
            self.changes.shrink_to_fit();
        }
        let keys = &mut self.keys;
        self.touched.retain(|key, newest| {
            if let Some(history) = keys.get_mut(key)
                && !history.compact(oldest)
            {
                keys.remove(key);
            }
            *newest > oldest
        });
    }
}

impl Watcher {
    /// Whether the watcher stays.
    fn offer(&self, event: &Event) -> bool {
        if !event.key.starts_with(&self.prefix) {
            return !self.events.is_closed();
        }
        match self.events.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.lagged.store(true, Ordering::Release);
                false
            }
        }
    }
}

fn size(entry: &Entry) -> u64 {
    (entry.key.len() + entry.value.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use crate::Durability;

    fn write(core: &Core, key: &str, expect: Expect, bytes: usize) -> Revision {
        let op = Op::Put(Bytes::from(vec![b'x'; bytes]));
        let write = Write { key: key.into(), expect, op, durability: Durability::Sync, note: None };
        let (mut staged, revision) = (Staged::default(), core.revision() + 1);
        core.stage(&mut staged, write, revision).expect("as expected");
        core.publish(staged);
        revision
    }

    #[test]
    fn history_is_bounded_by_bytes_and_the_present_is_not_touched() {
        const LARGE: usize = 900 << 10;
        let core = Core::new(Vec::new(), 1);
        let mut at = write(&core, "/large", Expect::Absent, LARGE);
        write(&core, "/small", Expect::Absent, 1);
        for _ in 0..300 {
            at = write(&core, "/large", Expect::Revision(at), LARGE);
            let state = core.read();
            let previous = state.changes.iter().filter_map(|change| state.event(change).previous);
            let kept: u64 = previous.map(|entry| size(&entry)).sum();
            assert_eq!(kept, state.history_bytes);
            assert!(kept <= HISTORY, "{kept} bytes of history");
            // Values of one key: the present one, and what the kept events have replaced.
            let history: u64 = state.keys.values().flat_map(History::entries).map(size).sum();
            assert!(history <= HISTORY + 2 * LARGE as u64, "{history} bytes by key");
        }
        assert!(core.oldest() > 100, "{}", core.oldest());
        assert!(matches!(core.watch("/", 5), Err(Error::Compacted { .. })));
        assert!(core.watch("/", core.oldest()).is_ok());
        assert_eq!(core.get("/large").map(|e| e.modified), Some(at));
        assert_eq!(core.get("/small").map(|e| e.created), Some(3));
        core.compact(at).expect("compacts");
        assert_eq!(core.read().history_bytes, 0);
    }
}
