//! When each pod is measured next. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two measures of a pod that grows.
const SHORTEST: Duration = Duration::from_secs(10);
/// Of one that stays as it is: twice as long each time, up to this (upstream: `volumeStatsAggPeriod`).
const LONGEST: Duration = Duration::from_secs(60);
/// A measure that took long is followed by a pause so many times as long.
const SHARE: u32 = 20;

#[derive(Default)]
struct Pace {
    total: u64,
    pause: Duration,
    /// `None` while it is measured.
    next: Option<Instant>,
}

/// The paces of all pods that have limits, by uid.
#[derive(Default)]
pub struct Paces(BTreeMap<String, Pace>);

impl Paces {
    /// Forgets the others.
    pub fn keep(&mut self, known: impl Fn(&str) -> bool) {
        self.0.retain(|uid, pace| pace.next.is_none() || known(uid));
    }

    /// Whether it is a pod's turn; then it is being measured until [`Paces::end`].
    pub fn begin(&mut self, uid: &str, now: Instant) -> bool {
        let pace = self.0.entry(uid.to_owned()).or_insert_with(|| Pace { next: Some(now), ..Pace::default() });
        pace.next.take_if(|next| *next <= now).is_some()
    }

    /// A pod has been measured.
    pub fn end(&mut self, uid: &str, total: u64, took: Duration, now: Instant) {
        let pace = self.0.entry(uid.to_owned()).or_default();
        let same = pace.total == total && !pace.pause.is_zero();
        pace.pause = if same { (pace.pause * 2).min(LONGEST) } else { SHORTEST };
        pace.total = total;
        pace.next = Some(now + pace.pause.max(took * SHARE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_looked_at_often_and_what_takes_long_seldom() {
        let (mut paces, start) = (Paces::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let quick = Duration::from_millis(1);
        assert!(paces.begin("a", at(0)));
        assert!(!paces.begin("a", at(1)), "it is being measured");
        let mut pauses = Vec::new();
        let mut now = 0;
        for total in [1, 1, 1, 1, 1, 2] {
            paces.end("a", total, quick, at(now));
            let due = (1..200).find(|pause| paces.begin("a", at(now + pause))).expect("a turn");
            pauses.push(due);
            now += due;
        }
        assert_eq!(pauses, [10, 20, 40, 60, 60, 10]);
        paces.end("a", 3, Duration::from_secs(30), at(now));
        assert!(!paces.begin("a", at(now + 599)) && paces.begin("a", at(now + 600)));
        paces.keep(|_| false);
        assert!(!paces.begin("a", at(now + 9999)), "what is being measured is not forgotten");
        paces.end("a", 3, quick, at(now));
        paces.keep(|_| false);
        assert!(paces.begin("a", at(now)), "another of that name begins anew");
    }
}
