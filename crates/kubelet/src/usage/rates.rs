//! How fast a counter grows. Pure, but for the clock that it is given.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Two looks that are closer than this say nothing (upstream: cAdvisor looks every ten seconds).
const LEAST: Duration = Duration::from_secs(1);
/// What nobody asked for in so long is forgotten.
const KEPT: Duration = Duration::from_secs(10 * 60);

#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    nanos: u64,
    /// Of the two looks before.
    rate: Option<u64>,
}

/// Counters of processor time, by whom they are of.
#[derive(Default)]
pub struct Rates(Mutex<BTreeMap<String, Look>>);

impl Rates {
    /// Billionths of a processor that were used since the last look; `None` the first time.
    pub fn look(&self, whose: &str, nanos: u64, now: Instant) -> Option<u64> {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = looks.get(whose).copied();
        // A counter that is lower is another's.
        let last = last.filter(|last| last.nanos <= nanos);
        let rate = match last {
            Some(last) if now.duration_since(last.at) < LEAST => return last.rate,
            Some(last) => {
                let passed = now.duration_since(last.at).as_nanos().max(1);
                u64::try_from(u128::from(nanos - last.nanos) * 1_000_000_000 / passed).ok()
            }
            None => None,
        };
        looks.insert(whose.to_owned(), Look { at: now, nanos, rate });
        looks.retain(|_, look| now.duration_since(look.at) < KEPT);
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_two_looks() {
        let (rates, start) = (Rates::default(), Instant::now());
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert_eq!(rates.look("a", 1_000_000_000, at(0)), None);
        assert_eq!(rates.look("a", 2_000_000_000, at(2000)), Some(500_000_000));
        assert_eq!(rates.look("a", 9_000_000_000, at(2100)), Some(500_000_000), "too soon for another");
        assert_eq!(rates.look("a", 4_000_000_000, at(4000)), Some(1_000_000_000));
        assert_eq!(rates.look("a", 0, at(6000)), None, "it was started anew");
        assert_eq!(rates.look("b", 5, at(6000)), None);
    }
}
