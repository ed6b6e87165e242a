//! What becomes of an event: a new one, one more of the same, or nothing.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use jiff::{SignedDuration, Timestamp};

use super::Note;

/// Equal events this far apart are two.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// From this many different messages of one reason about one object on, they are combined.
const SIMILAR: usize = 10;
/// Events about one object at once …
const BURST: f64 = 25.0;
/// … and seconds until one more is allowed.
const REFILL_SECONDS: f64 = 300.0;
/// Entries kept per table; a full table is emptied, which costs a few events that count from one again.
const REMEMBERED: usize = 4096;

/// What to do with an event.
pub(super) enum Verdict {
    New { message: String },
    Repeat { name: String, count: i32, message: String },
    Drop,
}

struct Seen {
    name: Option<Box<str>>,
    count: i32,
    last: Timestamp,
}

struct Group {
    messages: Vec<u64>,
    last: Timestamp,
}

struct Bucket {
    tokens: f64,
    last: Timestamp,
}

/// What events have in common, as a number that nobody outside can foretell: a node's pods come and go, and the words
/// themselves would be megabytes.
type Key = u64;

/// Remembers what was recorded lately.
#[derive(Default)]
pub(super) struct Correlator {
    seen: HashMap<Key, Seen>,
    groups: HashMap<Key, Group>,
    buckets: HashMap<Key, Bucket>,
    hasher: RandomState,
}

impl Correlator {
    pub(super) fn verdict(&mut self, note: &Note) -> Verdict {
        if !self.allowed(note) {
            return Verdict::Drop;
        }
        let combined = self.combined(note);
        let message =
            if combined { format!("(combined from similar events): {}", note.message) } else { note.message.clone() };
        let key = self.key(note, combined);
        let seen = entry(&mut self.seen, key, || Seen { name: None, count: 0, last: note.at });
        if note.at.duration_since(seen.last) > WINDOW {
            (seen.name, seen.count) = (None, 0);
        }
        seen.last = note.at;
        seen.count += 1;
        match &seen.name {
            Some(name) => Verdict::Repeat { name: name.to_string(), count: seen.count, message },
            None => Verdict::New { message },
        }
    }

    /// Remembers under which name the event was created.
    pub(super) fn written(&mut self, note: &Note, name: String) {
        let combined = self.groups.get(&self.group(note)).is_some_and(|g| g.messages.len() >= SIMILAR);
        let (key, at) = (self.key(note, combined), note.at);
        entry(&mut self.seen, key, || Seen { name: None, count: 1, last: at }).name = Some(name.into());
    }

    fn allowed(&mut self, note: &Note) -> bool {
        let about = self.hasher.hash_one(about(note));
        let bucket = entry(&mut self.buckets, about, || Bucket { tokens: BURST, last: note.at });
        let passed = note.at.duration_since(bucket.last).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + passed / REFILL_SECONDS).min(BURST);
        bucket.last = note.at;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }

    fn combined(&mut self, note: &Note) -> bool {
        let (key, hash) = (self.group(note), self.hasher.hash_one(&note.message));
        let group = entry(&mut self.groups, key, || Group { messages: Vec::new(), last: note.at });
        if note.at.duration_since(group.last) > WINDOW {
            group.messages.clear();
        }
        group.last = note.at;
        if !group.messages.contains(&hash) && group.messages.len() < SIMILAR {
            group.messages.push(hash);
        }
        group.messages.len() >= SIMILAR
    }

    fn group(&self, note: &Note) -> Key {
        self.hasher.hash_one((about(note), note.type_, &note.reason, &note.action))
    }

    fn key(&self, note: &Note, combined: bool) -> Key {
        let message = (!combined).then_some(&note.message);
        self.hasher.hash_one((about(note), note.type_, &note.reason, &note.action, message))
    }
}

fn entry<V>(table: &mut HashMap<Key, V>, key: Key, new: impl FnOnce() -> V) -> &mut V {
    if table.len() >= REMEMBERED && !table.contains_key(&key) {
        table.clear();
    }
    table.entry(key).or_insert_with(new)
}

/// The object, or the part of it.
fn about(note: &Note) -> [Option<&str>; 6] {
    let r = &note.regarding;
    [&r.kind, &r.namespace, &r.name, &r.uid, &r.api_version, &r.field_path].map(Option::as_deref)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(message: &str, second: i64) -> Note {
        Note {
            regarding: Default::default(),
            related: None,
            type_: "Normal",
            reason: "R".to_owned(),
            action: String::new(),
            message: message.to_owned(),
            at: Timestamp::from_second(1_000_000 + second).expect("in range"),
            annotations: Default::default(),
        }
    }

    #[test]
    fn repeats_count_and_floods_end() {
        let mut c = Correlator::default();
        assert!(matches!(c.verdict(&note("a", 0)), Verdict::New { .. }));
        c.written(&note("a", 0), "e1".to_owned());
        assert!(matches!(c.verdict(&note("a", 1)), Verdict::Repeat { count: 2, .. }));
        for n in 0..9 {
            c.verdict(&note(&format!("m{n}"), 2));
        }
        let Verdict::New { message } = c.verdict(&note("z", 3)) else { panic!("a combined event begins") };
        assert_eq!(message, "(combined from similar events): z");
        let dropped = (0..30).filter(|_| matches!(c.verdict(&note("z", 4)), Verdict::Drop)).count();
        assert_eq!(dropped, 30 - (25 - 12));
        assert!(!matches!(c.verdict(&note("z", 700)), Verdict::Drop));
    }
}
