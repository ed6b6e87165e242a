//! The books: which write was acknowledged at which revision, which was refused, and what must be there now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Kept by all writers together.
pub struct Ledger {
    seed: u64,
    books: Mutex<Books>,
}

#[derive(Default)]
pub struct Books {
    /// Acknowledged, by revision: the object and the number in it.
    pub written: BTreeMap<u64, (String, u64)>,
    /// Numbers that must never be seen.
    pub refused: HashSet<u64>,
    /// What each object must hold now; `None` is not there. True while its writer rests.
    pub present: HashMap<String, Option<u64>>,
    /// The highest revision that anybody was told.
    top: u64,
    last_number: u64,
    deleted: u64,
    lost: u64,
    codes: BTreeMap<u16, u64>,
}

impl Ledger {
    pub fn new(seed: u64) -> Self {
        Ledger { seed, books: Mutex::default() }
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other write has.
    pub fn number(&self) -> u64 {
        let mut books = self.books();
        books.last_number += 1;
        books.last_number
    }

    /// The highest revision that was told so far: what is asked from now on gets a higher one.
    pub fn top(&self) -> u64 {
        self.books().top
    }

    /// A write was acknowledged; `before` was the top when it was sent. An error says what is wrong with the revision.
    pub fn acknowledged(&self, name: &str, number: u64, revision: u64, before: u64) -> Result<(), String> {
        let mut books = self.books();
        books.top = books.top.max(revision);
        books.present.insert(name.to_owned(), Some(number));
        let earlier = books.written.insert(revision, (name.to_owned(), number));
        if revision <= before {
            return Err(format!("{name}: revision {revision} was given after {before} had been"));
        }
        earlier.map_or(Ok(()), |(other, _)| Err(format!("revision {revision} was given to {other} and to {name}")))
    }

    pub fn deleted(&self, name: &str) {
        let mut books = self.books();
        books.deleted += 1;
        books.present.insert(name.to_owned(), None);
    }

    pub fn refused(&self, number: Option<u64>, code: u16) {
        let mut books = self.books();
        books.refused.extend(number);
        *books.codes.entry(code).or_default() += 1;
    }

    /// Nobody was told what became of it; this was found later.
    pub fn found(&self, name: &str, number: Option<u64>) {
        let mut books = self.books();
        books.lost += 1;
        books.present.insert(name.to_owned(), number);
    }

    pub fn summary(&self) -> String {
        let books = self.books();
        let codes: Vec<String> = books.codes.iter().map(|(code, times)| format!("{times} × {code}")).collect();
        format!(
            "seed {}: {} writes acknowledged, {} deletions, {} unanswered, refused: {}; {} objects, revision {}",
            self.seed,
            books.written.len(),
            books.deleted,
            books.lost,
            if codes.is_empty() { "none".to_owned() } else { codes.join(", ") },
            books.present.values().flatten().count(),
            books.top,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    #[test]
    fn a_revision_that_goes_back_is_seen() {
        let ledger = Ledger::new(0);
        let before = ledger.top();
        assert_eq!(ledger.acknowledged("a", 1, 10, before), Ok(()));
        let before = ledger.top();
        assert!(ledger.acknowledged("b", 2, 9, before).is_err(), "lower than one that was told before it was asked");
        // Asked while the other was on its way: any order is right.
        assert_eq!(ledger.acknowledged("c", 3, 8, 0), Ok(()));
    }

    #[test]
    fn a_revision_that_is_given_twice_is_seen() {
        let ledger = Ledger::new(0);
        assert_eq!(ledger.acknowledged("a", 1, 10, 0), Ok(()));
        assert!(ledger.acknowledged("b", 2, 10, 0).is_err());
    }
}
