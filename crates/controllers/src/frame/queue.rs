//! The queue of keys: each at most once, never twice at a time, back-off by key, and the gate.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use meta::Key;

use super::plan::Failure;
use super::world::Streams;

/// First pause after a failure, doubled with each further one (upstream: the default rate limiter).
const FIRST_PAUSE: SignedDuration = SignedDuration::from_millis(5);
/// Longest pause after a failure.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(1000);

/// What must be seen before a key is looked at again: per stream the newest revision written to it,
/// and the objects deleted. One global revision would not do: streams lag independently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Revision to reach, by stream.
    pub revisions: HashMap<TypeId, u64>,
    /// Objects to be gone or going, with their uids.
    pub deleted: Vec<(TypeId, Key, String)>,
}

impl Gate {
    /// Adds a write.
    pub fn wrote(&mut self, id: TypeId, revision: u64) {
        let wanted = self.revisions.entry(id).or_default();
        *wanted = revision.max(*wanted);
    }

    /// Whether the streams show it all. What a controller does not watch cannot mislead it.
    pub fn is_open(&self, streams: &Streams) -> bool {
        self.revisions.iter().all(|(id, wanted)| streams.get(*id).is_none_or(|s| s.revision() >= *wanted))
            && self.deleted.iter().all(|(id, key, uid)| streams.get(*id).is_none_or(|s| s.gone(key, uid)))
    }
}

/// How the work on a key ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The first failure.
    pub failure: Option<Failure>,
    /// What was written.
    pub gate: Gate,
    /// When to look again.
    pub revisit: Option<Timestamp>,
}

#[derive(Default)]
struct Entry {
    ready: bool,
    running: bool,
    /// A change came while it was running or behind the gate.
    dirty: bool,
    gate: Option<Gate>,
    wake: Option<Timestamp>,
    failures: u32,
    failure: Option<Failure>,
}

/// The queue.
#[derive(Default)]
pub struct Queue {
    entries: HashMap<Key, Entry>,
    ready: VecDeque<Key>,
    timers: BTreeSet<(Timestamp, Key)>,
    gated: BTreeSet<Key>,
}

impl Queue {
    /// Asks for a key to be looked at.
    pub fn add(&mut self, key: &Key) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.running || entry.gate.is_some() {
            entry.dirty = true;
        } else if !entry.ready {
            entry.ready = true;
            self.ready.push_back(key.clone());
        }
    }

    /// The next key to work on, with the failure of its last time; it stays taken until
    /// [`Queue::done`].
    pub fn next(&mut self, now: Timestamp) -> Option<(Key, Option<Failure>)> {
        while let Some((at, key)) = self.timers.first().cloned() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.wake = None;
            }
            self.add(&key);
        }
        let key = self.ready.pop_front()?;
        let entry = self.entries.entry(key.clone()).or_default();
        (entry.ready, entry.running, entry.dirty) = (false, true, false);
        let failure = entry.failure.clone();
        if let Some(at) = entry.wake.take() {
            self.timers.remove(&(at, key.clone()));
        }
        Some((key, failure))
    }

    /// Gives a key back.
    pub fn done(&mut self, key: &Key, outcome: Outcome, streams: &Streams, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.running = false;
        // A failure that was told must be looked at once more when it is over, to be taken back.
        let told = entry.failure.is_some();
        let mut wake = outcome.revisit;
        match &outcome.failure {
            Some(failure) => {
                let pause = FIRST_PAUSE * 2i32.saturating_pow(entry.failures.min(20));
                let at = now + pause.min(LONGEST_PAUSE);
                wake = Some(wake.map_or(at, |w| w.min(at)));
                entry.failures += 1;
                entry.failure = Some(failure.clone()).filter(|f| !f.is_conflict());
            }
            None => {
                entry.failures = 0;
                entry.failure = None;
                entry.dirty |= told;
            }
        }
        entry.wake = wake;
        if let Some(at) = wake {
            self.timers.insert((at, key.clone()));
        }
        if !outcome.gate.is_open(streams) {
            entry.gate = Some(outcome.gate);
            self.gated.insert(key.clone());
        }
        self.settle(key);
    }

    /// Looks at the gates again; to be called when a stream has gone forward.
    pub fn recheck(&mut self, streams: &Streams) {
        let waiting: Vec<Key> = self.gated.iter().cloned().collect();
        for key in waiting {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if entry.gate.as_ref().is_none_or(|gate| gate.is_open(streams)) {
                entry.gate = None;
                self.gated.remove(&key);
                self.settle(&key);
            }
        }
    }

    /// Has all that waits for its time looked at now.
    pub fn wake_all(&mut self) {
        for (_, key) in std::mem::take(&mut self.timers) {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.wake = None;
            }
            self.add(&key);
        }
    }

    /// When the next timer is due.
    pub fn due(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Keys ready to be worked on.
    pub fn depth(&self) -> usize {
        self.ready.len()
    }

    /// Whether nothing is ready, running or behind the gate.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.entries.values().all(|e| !e.running && e.gate.is_none())
    }

    /// After work or gate: queues again what changed meanwhile, forgets what is at rest.
    fn settle(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.running || entry.gate.is_some() {
            return;
        }
        if std::mem::take(&mut entry.dirty) {
            self.add(key);
        } else if !entry.ready && entry.wake.is_none() && entry.failures == 0 {
            self.entries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("in range")
    }

    #[test]
    fn what_waits_for_a_time_that_does_not_come_can_be_woken() {
        let (mut queue, streams) = (Queue::default(), Streams::empty(at(0)));
        let key = Key::new("n", "a");
        queue.add(&key);
        assert!(queue.next(at(1_000_000)).is_some());
        let revisit = Some(at(2_000_000));
        queue.done(&key, Outcome { revisit, ..Outcome::default() }, &streams, at(1_000_000));
        // The clock was set back.
        assert!(queue.next(at(0)).is_none());
        queue.wake_all();
        assert_eq!((queue.due(), queue.next(at(0)).map(|(k, _)| k)), (None, Some(key)));
    }

    #[test]
    fn coalesces_backs_off_and_waits_at_the_gate() {
        let (mut queue, mut streams) = (Queue::default(), Streams::empty(at(0)));
        let pods = client::Informer::<k8s_openapi::api::core::v1::Pod>::detached();
        streams.add(std::sync::Arc::new(pods.clone()));
        let key = Key::new("n", "a");
        queue.add(&key);
        queue.add(&key);
        assert_eq!(queue.next(at(0)).map(|(k, _)| k), Some(key.clone()));
        assert!(queue.next(at(0)).is_none(), "coalesced");
        queue.add(&key);
        let mut gate = Gate::default();
        gate.wrote(TypeId::of::<k8s_openapi::api::core::v1::Pod>(), 7);
        queue.done(&key, Outcome { gate, ..Outcome::default() }, &streams, at(0));
        pods.bookmark(6);
        queue.recheck(&streams);
        assert!(queue.next(at(0)).is_none(), "behind the gate");
        pods.bookmark(7);
        queue.recheck(&streams);
        assert!(queue.next(at(0)).is_some());
        let failure = Failure {
            verb: "create", resource: "pods".into(), key: key.clone(), reason: "Forbidden".into(),
            message: "no".into(), terminating: false,
        };
        queue.done(&key, Outcome { failure: Some(failure), ..Outcome::default() }, &streams, at(0));
        assert!(queue.next(at(4)).is_none());
        assert!(queue.next(at(5)).is_some_and(|(_, failure)| failure.is_some()));
        queue.done(&key, Outcome::default(), &streams, at(5));
        assert!(queue.next(at(5)).is_some_and(|(_, failure)| failure.is_none()), "looked at once more");
        queue.done(&key, Outcome::default(), &streams, at(5));
        assert!(queue.is_idle() && queue.entries.is_empty() && queue.due().is_none());
    }
}
