//! Which thresholds are met, for how long, and which conditions follow (upstream: the first half of the eviction
//! manager's `synchronize`). Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::thresholds::{Signal, Threshold};

/// What is left of something, and all that there is of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Bytes, files or processes.
    pub available: i64,
    /// As many as there are.
    pub capacity: i64,
}

/// What was seen, by signal.
pub type Seen = BTreeMap<Signal, Left>;

/// The memory of the thresholds.
pub struct Watch {
    thresholds: Vec<Threshold>,
    /// How long a condition stays after its cause has gone.
    transition: Duration,
    /// Since when thresholds are met, by their number.
    since: BTreeMap<usize, Instant>,
    /// Those that have asked for pods to go, and have not got back yet what they want in reserve.
    unresolved: Vec<usize>,
    /// When conditions were seen last.
    seen_at: BTreeMap<&'static str, Instant>,
}

impl Watch {
    /// Nothing is short yet.
    pub fn new(thresholds: Vec<Threshold>, transition: Duration) -> Self {
        let (since, unresolved, seen_at) = Default::default();
        Watch { thresholds, transition, since, unresolved, seen_at }
    }

    /// Takes in what was seen. The conditions that hold, and the thresholds for which pods have to go, the most urgent
    /// first.
    pub fn look(&mut self, seen: &Seen, now: Instant) -> (Vec<&'static str>, Vec<Threshold>) {
        let number = 0..self.thresholds.len();
        let met: Vec<usize> = number.filter(|i| is_met(&self.thresholds[*i], seen, self.unresolved.contains(i))).collect();
        self.since.retain(|i, _| met.contains(i));
        for i in &met {
            self.since.entry(*i).or_insert(now);
            self.seen_at.insert(self.thresholds[*i].signal.condition(), now);
        }
        let held = |(_, at): &(&&'static str, &Instant)| now.duration_since(**at) < self.transition;
        let conditions = self.seen_at.iter().filter(held).map(|(condition, _)| *condition).collect();
        let ripe = |i: &usize| now.duration_since(self.since[i]) >= self.thresholds[*i].grace;
        self.unresolved = met.into_iter().filter(ripe).collect();
        let mut due: Vec<Threshold> = self.unresolved.iter().map(|i| self.thresholds[*i]).collect();
        due.sort_by_key(|t| !matches!(t.signal, Signal::Memory | Signal::PodMemory));
        (conditions, due)
    }

    /// Whether all is well with this, reserves included.
    pub fn is_resolved(&self, seen: &Seen) -> bool {
        !self.thresholds.iter().any(|threshold| is_met(threshold, seen, true))
    }
}

fn is_met(threshold: &Threshold, seen: &Seen, with_reserve: bool) -> bool {
    let Some(left) = seen.get(&threshold.signal) else { return false };
    let reserve = threshold.reclaim.filter(|_| with_reserve).map_or(0, |amount| amount.of(left.capacity));
    threshold.below.of(left.capacity).saturating_add(reserve) > left.available
}

#[cfg(test)]
mod tests {
    use super::super::thresholds::{Wording, parse};
    use super::*;

    fn watch(hard: &str, soft: &str, soft_grace: &str, reclaim: &str) -> Watch {
        Watch::new(parse(&Wording { hard, soft, soft_grace, reclaim }).expect("good"), Duration::from_secs(300))
    }

    fn seen(signal: Signal, available: i64) -> Seen {
        [(signal, Left { available, capacity: 1000 })].into()
    }

    #[test]
    fn a_condition_outlives_its_cause() {
        let (mut watch, start) = (watch("nodefs.available<10%", "", "", ""), Instant::now());
        let mut at = |seconds: u64, available: i64| {
            let (conditions, due) = watch.look(&seen(Signal::NodeDisk, available), start + Duration::from_secs(seconds));
            (conditions, due.len())
        };
        assert_eq!(at(0, 100), (vec![], 0), "at the threshold is enough");
        assert_eq!(at(10, 99), (vec!["DiskPressure"], 1));
        assert_eq!(at(20, 500), (vec!["DiskPressure"], 0));
        assert_eq!(at(309, 500), (vec!["DiskPressure"], 0));
        assert_eq!(at(310, 500), (vec![], 0));
    }

    #[test]
    fn a_soft_threshold_waits_and_a_reserve_is_asked_for() {
        let (mut watch, start) = (watch("", "nodefs.available<10%", "nodefs.available=1m", "nodefs.available=5%"), Instant::now());
        let mut due = |seconds: u64, available: i64| {
            let seen = seen(Signal::NodeDisk, available);
            watch.look(&seen, start + Duration::from_secs(seconds)).1.len()
        };
        assert_eq!(due(0, 99), 0);
        assert_eq!(due(30, 101), 0, "short no more");
        assert_eq!(due(40, 99), 0);
        assert_eq!(due(99, 99), 0);
        assert_eq!(due(100, 99), 1);
        assert_eq!(due(110, 149), 1, "the reserve is not there yet");
        assert_eq!(due(120, 150), 0);
        assert_eq!(due(130, 149), 0);
    }

    #[test]
    fn memory_comes_first() {
        let mut watch = watch("nodefs.available<10%,memory.available<50", "", "", "");
        let seen = [(Signal::NodeDisk, Left { available: 0, capacity: 1000 }), (Signal::Memory, Left { available: 0, capacity: 1000 })];
        let (conditions, due) = watch.look(&seen.into(), Instant::now());
        assert_eq!(conditions, ["DiskPressure", "MemoryPressure"]);
        assert_eq!(due.iter().map(|t| t.signal).collect::<Vec<_>>(), [Signal::Memory, Signal::NodeDisk]);
        assert!(!watch.is_resolved(&seen.into()));
    }
}
