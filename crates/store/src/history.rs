//! What one key held, and since when.

use crate::{Entry, Revision};

/// A key's value since a revision; `None` is a deletion.
pub(crate) type Version = (Revision, Option<Entry>);

/// One key's values since the oldest readable revision. Most keys have one value for most of the time: it costs no list.
pub(crate) struct History(Box<Versions>);

struct Versions {
    newest: Version,
    /// The others, oldest first. Boxed, as it is seldom there.
    #[allow(clippy::box_collection, reason = "eight bytes a key instead of twenty-four")]
    older: Option<Box<Vec<Version>>>,
}

impl History {
    /// Of a key that has this value from there on.
    pub(crate) fn new(newest: Version) -> Self {
        History(Box::new(Versions { newest, older: None }))
    }

    /// Takes in the next value.
    pub(crate) fn push(&mut self, version: Version) {
        let before = std::mem::replace(&mut self.0.newest, version);
        self.0.older.get_or_insert_default().push(before);
    }

    /// All values that are there.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.older().iter().chain([&self.0.newest]).filter_map(|(_, entry)| entry.as_ref())
    }

    fn older(&self) -> &[Version] {
        self.0.older.as_deref().map_or(&[], Vec::as_slice)
    }

    /// What the key holds now.
    pub(crate) fn current(&self) -> Option<&Entry> {
        self.0.newest.1.as_ref()
    }

    /// What it held at a revision, as far as that is known.
    pub(crate) fn at(&self, revision: Revision) -> Option<&Entry> {
        if self.0.newest.0 <= revision {
            return self.current();
        }
        let later = self.older().partition_point(|(r, _)| *r <= revision);
        self.older()[..later].last()?.1.as_ref()
    }

    /// Drops what no revision from `oldest` on can see; says whether anything is left.
    pub(crate) fn compact(&mut self, oldest: Revision) -> bool {
        if self.0.newest.0 <= oldest {
            self.0.older = None;
            return self.0.newest.1.is_some();
        }
        if let Some(older) = &mut self.0.older {
            let seen = older.iter().rposition(|(r, _)| *r <= oldest).unwrap_or(0);
            older.drain(..seen);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;

    fn entry(revision: Revision) -> Option<Entry> {
        Some(Entry { key: Arc::from("/k"), value: Bytes::from_static(b"v"), created: 1, modified: revision })
    }

    #[test]
    fn what_a_reader_can_still_ask_for_stays() {
        let seen = |history: &History, at: Revision| history.at(at).map(|entry| entry.modified);
        let mut history = History::new((2, entry(2)));
        history.push((5, entry(5)));
        history.push((8, None));
        history.push((9, entry(9)));
        assert_eq!([1, 2, 4, 5, 7, 8, 9].map(|at| seen(&history, at)), [None, Some(2), Some(2), Some(5), Some(5), None, Some(9)]);
        assert!(history.compact(6));
        assert_eq!([4, 6, 7, 8, 9].map(|at| seen(&history, at)), [None, Some(5), Some(5), None, Some(9)]);
        assert!(history.compact(9));
        assert_eq!((seen(&history, 8), history.current().map(|entry| entry.modified)), (None, Some(9)));
        history.push((12, None));
        assert!(history.compact(11) && !history.compact(12), "a deletion that nobody can see is nothing");
    }
}
