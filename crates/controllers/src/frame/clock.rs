//! The machine's clock, which is set now and then, back and forth. Times to look again, and those in objects, are its
//! times: when it was set, all of them mean something else.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// What differs by less is the clock being steered. A machine that slept has its clock set, too, as it seems.
const STEP: SignedDuration = SignedDuration::from_secs(5);

/// Notices that it was set.
pub struct Clock {
    machine: Timestamp,
    steady: Instant,
}

impl Clock {
    /// From now on.
    pub fn new() -> Self {
        Clock { machine: Timestamp::now(), steady: Instant::now() }
    }

    /// Whether it was set since the last look.
    pub fn was_set(&mut self) -> bool {
        self.differs(Timestamp::now(), Instant::now())
    }

    fn differs(&mut self, machine: Timestamp, steady: Instant) -> bool {
        let passed = SignedDuration::try_from(steady.saturating_duration_since(self.steady)).unwrap_or(SignedDuration::MAX);
        let off = machine.duration_since(self.machine).saturating_sub(passed);
        (self.machine, self.steady) = (machine, steady);
        off.abs() > STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn time_that_passes_is_no_step() {
        let mut clock = Clock::new();
        let (machine, steady) = (clock.machine, clock.steady);
        let mut differs = |machine_seconds: i64, steady_seconds: u64| {
            let at = machine + SignedDuration::from_secs(machine_seconds);
            clock.differs(at, steady + Duration::from_secs(steady_seconds))
        };
        assert!(!differs(3600, 3600) && !differs(3604, 3600), "it is steered");
        assert!(differs(200_000, 3700) && !differs(200_100, 3800), "two days on");
        assert!(differs(3900, 3900) && !differs(4000, 4000), "and back");
    }
}
