//! After how many seconds one who was refused may come again (upstream: `dropped_requests_tracker.go`): the longer, the
//! more were refused lately.

use std::collections::VecDeque;

/// The longest, in seconds.
const LONGEST: u64 = 32;

/// A level's refusals of the last seconds.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// Second, and refusals in it; the newest last.
    history: VecDeque<(u64, u64)>,
    after: u64,
    changed: u64,
}

impl Default for Dropped {
    fn default() -> Self {
        Dropped { history: VecDeque::new(), after: 1, changed: 0 }
    }
}

impl Dropped {
    /// One more was refused in this second; returns the seconds to wait.
    pub fn note(&mut self, second: u64) -> u32 {
        match self.history.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => {
                let kept = (2 * self.after).min(LONGEST);
                self.history.retain(|(at, _)| second.saturating_sub(*at) <= kept);
                self.adapt(second);
                self.history.push_back((second, 1));
            }
        }
        self.after as u32
    }

    fn adapt(&mut self, second: u64) {
        let lately = self.history.iter().filter(|(at, _)| second.saturating_sub(*at) <= self.after);
        let refused: u64 = lately.map(|(_, count)| count).sum();
        if second.saturating_sub(self.changed) >= self.after && refused >= 3 * self.after {
            self.after = (2 * self.after).min(LONGEST);
            self.changed = second;
        } else if refused < self.after && self.after > 1 {
            self.after -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_the_refusals_and_shrinks_without() {
        let mut dropped = Dropped::default();
        assert_eq!(dropped.note(1), 1);
        let at = |dropped: &mut Dropped, second| (0..200).map(|_| dropped.note(second)).last();
        assert_eq!((2..100).filter_map(|second| at(&mut dropped, second)).last(), Some(32));
        assert_eq!((1..40).map(|n| dropped.note(100 + n * 100)).last(), Some(1));
    }
}
