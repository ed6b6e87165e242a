//! How many seats a level could use, over time (upstream: `fairqueuing/integrator.go`, `seatDemandStats`).

use std::time::Duration;

/// How much of the last period's smoothed demand counts when demand falls (upstream:
/// `seatDemandSmoothingCoefficient`): it halves in about five minutes.
const SMOOTHING: f64 = 0.977;

/// A value that changes at moments, and its moments since the last [`Meter::reset`].
#[derive(Clone, Debug, Default)]
pub struct Meter {
    last: Duration,
    value: f64,
    seconds: f64,
    sum: f64,
    squares: f64,
    highest: f64,
}

/// A period's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Period {
    /// Its length, in seconds.
    pub seconds: f64,
    /// Mean over time.
    pub average: f64,
    /// Standard deviation over time.
    pub deviation: f64,
    /// The highest value.
    pub highest: f64,
}

impl Meter {
    /// The value is another one from now on.
    pub fn set(&mut self, now: Duration, value: f64) {
        self.pass(now);
        self.value = value;
        self.highest = self.highest.max(value);
    }

    fn pass(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.last).as_secs_f64();
        self.last = self.last.max(now);
        self.seconds += seconds;
        self.sum += self.value * seconds;
        self.squares += self.value * self.value * seconds;
    }

    /// The figures so far; the next period begins.
    pub fn reset(&mut self, now: Duration) -> Period {
        self.pass(now);
        let mut period = Period { seconds: self.seconds, highest: self.highest, ..Period::default() };
        if self.seconds > 0.0 {
            period.average = self.sum / self.seconds;
            // Rounding can make it negative.
            period.deviation = (self.squares / self.seconds - period.average * period.average).max(0.0).sqrt();
        }
        *self = Meter { last: self.last, value: self.value, highest: self.value, ..Meter::default() };
        period
    }
}

/// What is remembered of a level's demand from period to period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// The last period.
    pub period: Period,
    /// Rises at once, falls slowly.
    pub smoothed: f64,
}

impl Demand {
    /// Takes in one more period.
    pub fn update(&mut self, period: Period) {
        self.period.highest = period.highest.round();
        if period.seconds <= 0.0 {
            return;
        }
        self.period = Period { highest: period.highest.round(), ..period };
        let envelope = period.average + period.deviation;
        self.smoothed = envelope.max(SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * envelope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_mean_is_over_time_and_the_peak_is_kept() {
        let mut meter = Meter::default();
        meter.set(at(0), 4.0);
        meter.set(at(5), 0.0);
        assert_eq!(meter.reset(at(10)), Period { seconds: 10.0, average: 2.0, deviation: 2.0, highest: 4.0 });
        assert_eq!(meter.reset(at(20)).highest, 0.0, "the next period begins with what is");
    }

    #[test]
    fn demand_rises_at_once_and_falls_slowly() {
        let mut demand = Demand::default();
        let period = |average| Period { seconds: 10.0, average, deviation: 0.0, highest: average };
        demand.update(period(100.0));
        assert_eq!(demand.smoothed, 100.0);
        demand.update(period(0.0));
        assert!(demand.smoothed > 97.0 && demand.smoothed < 98.0, "{demand:?}");
        (0..200).for_each(|_| demand.update(period(0.0)));
        assert!(demand.smoothed < 1.0, "{demand:?}");
    }
}
