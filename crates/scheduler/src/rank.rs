//! The nodes that fit pods of one signature, by score: a decision then costs what has changed since the last one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use meta::Key;

use crate::filters;
use crate::scores::{self, Normal};
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};

/// Nodes that fit, the best within reach. It holds no node alive, only its name.
pub(crate) struct Ranking {
    /// The changes of the snapshot that are taken in.
    seen: u64,
    nodes: HashMap<Arc<str>, Entry>,
    /// How many nodes have which raw score, a map for each score.
    raw: Vec<BTreeMap<i64, usize>>,
    /// The largest of each when the totals were computed.
    largest: Vec<i64>,
    /// The nodes of each total.
    by_total: BTreeMap<i64, Vec<Arc<str>>>,
}

struct Entry {
    /// The change that made the node what it was when it was judged.
    version: u64,
    /// One for each score; empty where the node does not fit.
    raw: Box<[i64]>,
    total: i64,
    /// Its place among those of its total.
    place: usize,
}

impl Ranking {
    /// Judges all nodes.
    pub(crate) fn new(pod: &PodInfo, snapshot: &Snapshot) -> Self {
        let mut ranking = Ranking {
            seen: snapshot.version(),
            nodes: HashMap::with_capacity(snapshot.len()),
            raw: vec![BTreeMap::new(); scores::ALL.len()],
            largest: vec![0; scores::ALL.len()],
            by_total: BTreeMap::new(),
        };
        let key = pod.key();
        snapshot.nodes().for_each(|(name, node)| ranking.judge(pod, &key, name, node));
        ranking.settle();
        ranking
    }

    /// How many nodes it holds: what it costs in memory.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Judges again what has changed; all, where that is not known any more. Returns how many nodes it judged.
    pub(crate) fn catch_up(&mut self, pod: &PodInfo, snapshot: &Snapshot) -> usize {
        let Some(changed) = snapshot.changed_since(self.seen) else {
            *self = Ranking::new(pod, snapshot);
            return self.nodes.len();
        };
        let (key, mut judged) = (pod.key(), 0);
        for name in changed {
            let node = snapshot.node(name).filter(|node| node.node.is_some());
            let known = self.nodes.get(name).map(|entry| entry.version);
            // One that changed often stands there as often.
            if known == node.map(|node| node.version) {
                continue;
            }
            self.forget(name);
            if let Some(node) = node {
                self.judge(pod, &key, name, node);
                judged += 1;
            }
        }
        self.seen = snapshot.version();
        self.settle();
        judged
    }

    /// One of the best nodes: equal ones in turn. `None`: none fits.
    pub(crate) fn best(&self, turn: usize) -> Option<&Arc<str>> {
        let (_, ties) = self.by_total.last_key_value()?;
        ties.get(turn % ties.len())
    }

    fn judge(&mut self, pod: &PodInfo, key: &Key, name: &Arc<str>, node: &NodeInfo) {
        let mut entry = Entry { version: node.version, raw: Box::default(), total: 0, place: 0 };
        if filters::check(pod, key, node).is_ok() {
            entry.raw = scores::ALL.iter().map(|score| (score.score)(pod, node)).collect();
            self.raw.iter_mut().zip(&entry.raw).for_each(|(counts, raw)| *counts.entry(*raw).or_default() += 1);
            self.place(name, &mut entry);
        }
        self.nodes.insert(name.clone(), entry);
    }

    fn forget(&mut self, name: &str) {
        let Some(entry) = self.nodes.remove(name) else { return };
        if entry.raw.is_empty() {
            return;
        }
        for (counts, raw) in self.raw.iter_mut().zip(&entry.raw) {
            if let Some(count) = counts.get_mut(raw) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(raw);
                }
            }
        }
        let Some(ties) = self.by_total.get_mut(&entry.total) else { return };
        ties.swap_remove(entry.place);
        match ties.get(entry.place) {
            Some(moved) => drop(self.nodes.get_mut(moved).map(|moved| moved.place = entry.place)),
            None if ties.is_empty() => drop(self.by_total.remove(&entry.total)),
            None => {}
        }
    }

    fn place(&mut self, name: &Arc<str>, entry: &mut Entry) {
        let of_each = scores::ALL.iter().zip(&entry.raw).zip(&self.largest);
        entry.total = of_each.map(|((score, raw), largest)| score.normalised(*raw, *largest)).sum();
        let ties = self.by_total.entry(entry.total).or_default();
        entry.place = ties.len();
        ties.push(name.clone());
    }

    /// Where the largest of a score that is normalised by it is another now, all totals are.
    fn settle(&mut self) {
        let largest = |(score, counts): (&scores::Score, &BTreeMap<i64, usize>)| match score.normal {
            Normal::Done => 0,
            _ => counts.last_key_value().map_or(0, |(raw, _)| *raw),
        };
        let largest: Vec<i64> = scores::ALL.iter().zip(&self.raw).map(largest).collect();
        if self.largest == largest {
            return;
        }
        self.largest = largest;
        self.by_total.clear();
        let mut nodes = std::mem::take(&mut self.nodes);
        nodes.iter_mut().filter(|(_, entry)| !entry.raw.is_empty()).for_each(|(name, entry)| self.place(name, entry));
        self.nodes = nodes;
    }
}
