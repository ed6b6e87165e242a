//! The recent changes, for watches that resume.

use std::collections::VecDeque;
use std::sync::Arc;

use super::change::Change;

/// Changes kept at most.
const CHANGES: usize = 8192;
/// Bytes of replaced and deleted objects kept at most (the newest hundred changes are kept in any case).
const BYTES: usize = 4 << 20;
const LEAST: usize = 100;

/// All changes of one cache after the floor.
#[derive(Default)]
pub(super) struct Ring {
    changes: VecDeque<Arc<Change>>,
    floor: u64,
    bytes: usize,
}

impl Ring {
    pub fn starting_at(floor: u64) -> Self {
        Ring { floor, ..Ring::default() }
    }

    /// The oldest revision after which everything is known.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    pub fn push(&mut self, change: Arc<Change>) {
        self.bytes += change.weight();
        self.changes.push_back(change);
        while self.changes.len() > CHANGES || (self.bytes > BYTES && self.changes.len() > LEAST) {
            let Some(oldest) = self.changes.pop_front() else { return };
            self.floor = oldest.revision;
            self.bytes -= oldest.weight();
        }
    }

    /// The changes after a revision; `None` if some of them are no longer known.
    pub fn after(&self, revision: u64) -> Option<Vec<Arc<Change>>> {
        if revision < self.floor {
            return None;
        }
        let start = self.changes.partition_point(|c| c.revision <= revision);
        Some(self.changes.range(start..).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use meta::Key;

    use crate::codec::shown;

    #[test]
    fn forgets_the_oldest_and_says_so() {
        let mut ring = Ring::starting_at(5);
        let old = |n: usize| Some(shown(Key::new("", "a"), 1, Bytes::from(vec![b' '; n])));
        for revision in 6..=205 {
            ring.push(Arc::new(Change::new(revision, old(BYTES / 100), None)));
        }
        assert_eq!(ring.floor(), 105);
        assert!(ring.after(104).is_none());
        assert_eq!(ring.after(105).map(|c| c.len()), Some(100));
        assert_eq!(ring.after(205).map(|c| c.len()), Some(0));
    }
}
