//! Answers that are kept, for a while. Bounded in number and bytes: the oldest goes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Record, RecordType};
use tokio::time::Instant;

use crate::message::Said;

/// What is asked, and what a client says that answers depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) kind: RecordType,
    pub(super) dnssec_ok: bool,
    pub(super) checking_disabled: bool,
}

pub(super) struct Store {
    most: usize,
    most_bytes: usize,
    bytes: usize,
    /// After so long without a question counting begins anew.
    pause: Duration,
    next: u64,
    entries: HashMap<Key, Entry>,
    order: BTreeMap<u64, Key>,
}

struct Entry {
    said: Arc<Said>,
    until: Instant,
    ttl: Duration,
    /// How often it was asked for, and when last.
    hits: u32,
    heard: Instant,
    weight: usize,
    number: u64,
}

/// An answer that is kept.
pub(super) struct Hit {
    pub(super) said: Arc<Said>,
    pub(super) until: Instant,
    /// Whole seconds, a begun one included; 0 when its time is over.
    pub(super) left: u32,
    /// How often it was asked for without a long pause.
    pub(super) hits: u32,
    /// How long it was kept at first.
    pub(super) ttl: Duration,
}

impl Store {
    pub(super) fn new(most: usize, most_bytes: usize, pause: Duration) -> Self {
        Store { most, most_bytes, bytes: 0, pause, next: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }

    /// An answer that was put there. One whose time is over by more than `stale` is gone.
    pub(super) fn get(&mut self, key: &Key, now: Instant, stale: Duration) -> Option<Hit> {
        let entry = self.entries.get_mut(key)?;
        let left = entry.until.saturating_duration_since(now);
        if left.is_zero() && now.saturating_duration_since(entry.until) >= stale {
            self.remove(key);
            return None;
        }
        entry.hits = if now.saturating_duration_since(entry.heard) < self.pause { entry.hits.saturating_add(1) } else { 1 };
        entry.heard = now;
        // Upstream counts whole seconds that have passed.
        let left = u32::try_from(left.as_secs()).unwrap_or(u32::MAX) + u32::from(left.subsec_nanos() > 0);
        Some(Hit { said: entry.said.clone(), until: entry.until, left, hits: entry.hits, ttl: entry.ttl })
    }

    pub(super) fn put(&mut self, key: Key, said: Said, ttl: Duration, now: Instant) {
        self.remove(&key);
        let weight = weight(&key, &said);
        if weight > self.most_bytes || self.most == 0 {
            return;
        }
        while self.entries.len() >= self.most || self.bytes + weight > self.most_bytes {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.remove(&oldest);
        }
        self.next += 1;
        self.bytes += weight;
        self.order.insert(self.next, key.clone());
        let entry = Entry { said: Arc::new(said), until: now + ttl, ttl, hits: 0, heard: now, weight, number: self.next };
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
            self.bytes -= entry.weight;
        }
    }
}

/// Bytes, about.
fn weight(key: &Key, said: &Said) -> usize {
    let records = said.answers.iter().chain(&said.authorities).chain(&said.additionals);
    let mut message = Message::response(0, hickory_proto::op::OpCode::Query);
    message.answers = records.cloned().collect();
    let fixed = size_of::<Entry>() + size_of::<Said>() + 2 * (size_of::<Key>() + key.name.len());
    fixed + message.answers.len() * size_of::<Record>() + 2 * message.to_vec().map_or(0, |bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::rdata::TXT;
    use hickory_proto::rr::{Name, RData};

    const NOW: Duration = Duration::ZERO;

    fn key(number: usize) -> Key {
        Key { name: format!("{number}.example."), kind: RecordType::TXT, dnssec_ok: false, checking_disabled: false }
    }

    fn said(length: usize) -> Said {
        let mut said = Said::code(ResponseCode::NoError);
        let texts = vec!["x".repeat(200); length / 200];
        said.answers.push(Record::from_rdata(Name::root(), 30, RData::TXT(TXT::new(texts))));
        said
    }

    #[test]
    fn the_oldest_goes_first() {
        let (mut store, now) = (Store::new(3, 1 << 20, NOW), Instant::now());
        (0..5).for_each(|n| store.put(key(n), said(200), Duration::from_secs(9), now));
        let there: Vec<usize> = (0..5).filter(|n| store.get(&key(*n), now, NOW).is_some()).collect();
        assert_eq!((there, store.order.len()), (vec![2, 3, 4], 3));
        // The same again is one entry, and the youngest.
        store.put(key(2), said(200), Duration::from_secs(9), now);
        store.put(key(6), said(200), Duration::from_secs(9), now);
        assert!(store.get(&key(2), now, NOW).is_some() && store.get(&key(3), now, NOW).is_none());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (mut store, now) = (Store::new(1000, 100_000, NOW), Instant::now());
        (0..100).for_each(|n| store.put(key(n), said(10_000), Duration::from_secs(9), now));
        assert!(store.bytes <= 100_000 && (2..6).contains(&store.entries.len()), "{}", store.entries.len());
        store.put(key(200), said(200_000), Duration::from_secs(9), now);
        assert!(store.get(&key(200), now, NOW).is_none(), "it has no place");
    }

    #[test]
    fn the_time_is_counted_down_and_ends() {
        let (mut store, now) = (Store::new(9, 1 << 20, NOW), Instant::now());
        store.put(key(1), said(200), Duration::from_secs(9), now);
        let left = |store: &mut Store, after: u64| store.get(&key(1), now + Duration::from_millis(after), NOW).map(|hit| hit.left);
        assert_eq!([left(&mut store, 0), left(&mut store, 999), left(&mut store, 1000)], [Some(9), Some(9), Some(8)]);
        assert_eq!((left(&mut store, 8999), left(&mut store, 9000)), (Some(1), None));
        assert_eq!((store.bytes, store.order.len()), (0, 0));
    }
}
