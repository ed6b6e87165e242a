//! A set of numbers in a range, some of them taken.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::Rng;

/// Numbers below `size`; cloned by reference.
#[derive(Clone)]
pub(super) struct Pool {
    size: u64,
    /// Chosen numbers are at least this, as long as there are free ones: the lower part is for those who ask by number.
    preferred: u64,
    taken: Arc<Mutex<BTreeSet<u64>>>,
}

impl Pool {
    pub fn new(size: u64, preferred: u64) -> Self {
        Pool { size, preferred, taken: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a number; `false` if somebody has it.
    pub fn take(&self, number: u64) -> bool {
        self.lock().insert(number)
    }

    /// Whether somebody has the number.
    pub fn has(&self, number: u64) -> bool {
        self.lock().contains(&number)
    }

    /// Gives a number back.
    pub fn release(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// Takes any free number, the first one free after a random place; `None` if there is none.
    pub fn any(&self) -> Option<u64> {
        let mut taken = self.lock();
        if taken.len() as u64 >= self.size {
            return None;
        }
        let mut rng = rand::rng();
        for range in [self.preferred..self.size, 0..self.preferred] {
            if range.is_empty() {
                continue;
            }
            let start = rng.random_range(range.clone());
            let free = (start..range.end).chain(range.start..start).find(|n| !taken.contains(n));
            if let Some(number) = free {
                taken.insert(number);
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_every_number_once() {
        let pool = Pool::new(10, 4);
        assert!(pool.take(5) && !pool.take(5));
        let mut got: Vec<u64> = std::iter::from_fn(|| pool.any()).collect();
        assert!(got[..5].iter().all(|n| *n >= 4), "{got:?}");
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
        pool.release(3);
        assert_eq!(pool.any(), Some(3));
    }
}
