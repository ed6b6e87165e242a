//! For how long a gauge was how full (upstream: `flowcontrol/metrics/timing_ratio_histogram.go`): a histogram into which
//! every nanosecond counts.

use std::time::Duration;

/// Upper bounds of how much of a level's seats is in use.
pub const UTILIZATION: &[f64] = &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];
/// Of how many requests there are, as a part of what there may be.
pub const REQUESTS: &[f64] = &[0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0];
/// Of the seats that a level could use.
pub const DEMAND: &[f64] = &[0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.8, 4.0, 6.0];

/// One gauge's history.
#[derive(Clone, Debug)]
pub struct Timing {
    bounds: &'static [f64],
    /// Nanoseconds at each bound, and beyond all.
    spent: Vec<u64>,
    /// Of ratio and nanoseconds.
    sum: f64,
    last: Duration,
    ratio: f64,
    at: usize,
}

impl Timing {
    /// Empty from the beginning.
    pub fn new(bounds: &'static [f64]) -> Self {
        Timing { bounds, spent: vec![0; bounds.len() + 1], sum: 0.0, last: Duration::ZERO, ratio: 0.0, at: 0 }
    }

    /// From now on it is so full.
    pub fn set(&mut self, now: Duration, value: f64, of: f64) {
        let nanos = u64::try_from(now.saturating_sub(self.last).as_nanos()).unwrap_or(u64::MAX);
        self.last = self.last.max(now);
        self.spent[self.at] += nanos;
        self.sum += self.ratio * nanos as f64;
        self.ratio = value / of.max(1.0);
        self.at = self.bounds.iter().position(|bound| self.ratio <= *bound).unwrap_or(self.bounds.len());
    }

    /// Cumulated counts with their bounds, the sum, and the number of all.
    pub fn read(&self) -> (Vec<(f64, u64)>, f64, u64) {
        let mut all = 0;
        let counted = self.bounds.iter().zip(&self.spent).map(|(bound, nanos)| {
            all += nanos;
            (*bound, all)
        });
        let counted = counted.collect();
        (counted, self.sum, all + self.spent[self.bounds.len()])
    }
}

/// All gauges of a level.
#[derive(Clone, Debug)]
pub struct Timings {
    /// Seats in use.
    pub seats: Timing,
    /// Seats that could be used.
    pub demand: Timing,
    /// Requests that wait.
    pub waiting: Timing,
    /// Requests that run.
    pub executing: Timing,
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            seats: Timing::new(UTILIZATION),
            demand: Timing::new(DEMAND),
            waiting: Timing::new(REQUESTS),
            executing: Timing::new(REQUESTS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nanosecond_counts_at_what_it_was() {
        let mut timing = Timing::new(REQUESTS);
        let at = Duration::from_nanos;
        timing.set(at(10), 5.0, 10.0);
        timing.set(at(30), 20.0, 10.0);
        timing.set(at(35), 0.0, 10.0);
        let (counted, sum, all) = timing.read();
        assert_eq!((counted[0], counted[7], counted[9], sum, all), ((0.0, 10), (0.5, 30), (1.0, 30), 20.0, 35));
    }
}
