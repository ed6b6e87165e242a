//! What must be true of a store whatever its disk did: a history of writes, and how much of it may be gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::Core;
use crate::{Durability, Entry, Expect, Op, Revision, Write};

/// Live entries by key: value, created, modified.
pub(super) type State = BTreeMap<Arc<str>, (Vec<u8>, Revision, Revision)>;

/// One write that was acknowledged, or may have happened.
#[derive(Clone, Debug)]
struct Done {
    revision: Revision,
    key: Arc<str>,
    value: Option<Vec<u8>>,
}

/// The history.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// What was there when the history begins.
    base: State,
    history: Vec<Done>,
    /// Of the history, so many writes at the least are durable.
    durable: usize,
    /// A batch without an answer: it is there whole or not at all.
    unanswered: Vec<Done>,
    /// Somebody has seen this revision.
    observed: Revision,
}

/// What must be answered to a batch of writes, if the disk does its part: revisions, or `None` for a conflict.
pub(super) struct Expected {
    done: Vec<Option<Done>>,
}

impl Expected {
    /// The revision of each write that must happen.
    pub(super) fn revisions(&self) -> impl Iterator<Item = Option<Revision>> {
        self.done.iter().map(|done| done.as_ref().map(|d| d.revision))
    }
}

impl Model {
    /// The state as of the newest write.
    pub(super) fn state(&self) -> State {
        let mut state = self.base.clone();
        self.history.iter().for_each(|done| apply(&mut state, done));
        state
    }

    /// What a batch would do after a revision.
    pub(super) fn expect(&self, writes: &[Write], mut revision: Revision) -> Expected {
        let mut state = self.state();
        let done = writes.iter().map(|write| {
            let present = state.get(&write.key).map(|(.., modified)| *modified);
            let holds = match write.expect {
                Expect::Absent => present.is_none(),
                Expect::Revision(r) => present == Some(r),
            };
            if !holds || (present.is_none() && matches!(write.op, Op::Delete)) {
                return None;
            }
            revision += 1;
            let value = match &write.op {
                Op::Put(value) => Some(value.to_vec()),
                Op::Delete => None,
            };
            let done = Done { revision, key: write.key.clone(), value };
            apply(&mut state, &done);
            Some(done)
        });
        Expected { done: done.collect() }
    }

    /// A batch was acknowledged.
    pub(super) fn acknowledge(&mut self, expected: Expected, writes: &[Write]) {
        let mut durable = false;
        for (done, write) in expected.done.into_iter().zip(writes) {
            let Some(done) = done else { continue };
            self.observed = done.revision;
            durable |= write.durability == Durability::Sync;
            self.history.push(done);
        }
        if durable {
            self.all_durable();
        }
    }

    /// A batch got no answer.
    pub(super) fn unanswered(&mut self, expected: Expected) {
        self.unanswered = expected.done.into_iter().flatten().collect();
    }

    /// All that was acknowledged is on disk.
    pub(super) fn all_durable(&mut self) {
        self.durable = self.history.len();
    }

    /// Checks what a store holds after a start, and goes on from there.
    pub(super) fn check(&mut self, core: &Core, clean: bool) -> Result<(), String> {
        let (entries, revision) = core.live();
        let found: State = entries.into_iter().map(row).collect();
        if revision < self.observed {
            return Err(format!("revision {revision} after {} was seen", self.observed));
        }
        if clean && revision != self.observed.max(1) && !self.history.is_empty() {
            return Err(format!("revision {revision} after a clean end at {}", self.observed));
        }
        let mut state = self.base.clone();
        let mut matches = (self.durable == 0 && state == found).then_some(0);
        let all = self.history.iter().chain(&self.unanswered);
        for (i, done) in all.enumerate() {
            apply(&mut state, done);
            let complete = i < self.history.len() || i + 1 == self.history.len() + self.unanswered.len();
            if i + 1 >= self.durable && complete && state == found {
                matches = Some(i + 1);
            }
        }
        let Some(matches) = matches else {
            let (durable, history, unanswered) = (self.durable, &self.history, &self.unanswered);
            return Err(format!("found {found:?}, which is no state after write {durable} of {history:?}, {unanswered:?}"));
        };
        if clean && matches < self.history.len() {
            return Err("a write is gone after a clean end".to_owned());
        }
        self.base = found;
        (self.durable, self.observed) = (0, revision);
        self.history.clear();
        self.unanswered.clear();
        Ok(())
    }
}

fn row(entry: Entry) -> (Arc<str>, (Vec<u8>, Revision, Revision)) {
    (entry.key, (entry.value.to_vec(), entry.created, entry.modified))
}

fn apply(state: &mut State, done: &Done) {
    match &done.value {
        None => drop(state.remove(&done.key)),
        Some(value) => {
            let created = state.get(&done.key).map_or(done.revision, |(_, created, _)| *created);
            state.insert(done.key.clone(), (value.clone(), created, done.revision));
        }
    }
}
