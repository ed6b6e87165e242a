//! Growing delays between attempts (upstream: `flowcontrol.Backoff`).

use jiff::{SignedDuration, Timestamp};

/// The first delay, seconds.
pub const FIRST: i64 = 10;
/// The longest delay, seconds.
pub const LONGEST: i64 = 300;

/// The delay that holds for one container or image; zero until the first attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    delay: i64,
    since: Option<Timestamp>,
}

impl Backoff {
    /// Until when the next attempt waits, given when the last one ended.
    pub fn until(&self, ended: Timestamp) -> Option<Timestamp> {
        if self.delay == 0 || self.expired(ended) {
            return None;
        }
        Some(ended + SignedDuration::from_secs(self.delay))
    }

    /// The delay in seconds.
    pub fn seconds(&self) -> i64 {
        self.delay
    }

    /// Doubles the delay, now that the next attempt begins; starts again from the first if the last one, which has
    /// `ended`, had gone well for twice the longest.
    pub fn next(&mut self, ended: Timestamp, now: Timestamp) {
        self.delay = if self.delay == 0 || self.expired(ended) { FIRST } else { (self.delay * 2).min(LONGEST) };
        self.since = Some(now);
    }

    fn expired(&self, at: Timestamp) -> bool {
        self.since.is_some_and(|since| at.duration_since(since).as_secs() > 2 * LONGEST)
    }
}

/// A delay as upstream prints it: `10s`, `1m20s`, `5m0s`.
pub fn print(seconds: i64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(s).expect("in range")
    }

    #[test]
    fn first_restart_is_immediate_then_the_delay_doubles_and_resets() {
        let mut b = Backoff::default();
        assert_eq!(b.until(at(0)), None);
        b.next(at(0), at(0));
        assert_eq!(b.until(at(1)), Some(at(11)));
        b.next(at(1), at(11));
        assert_eq!(b.seconds(), 20);
        for _ in 0..9 {
            b.next(at(12), at(200));
        }
        assert_eq!(print(b.seconds()), "5m0s");
        assert_eq!(b.until(at(700)), Some(at(1000)), "it was started at 200: eight minutes are not ten");
        assert_eq!(b.until(at(801)), None, "ten quiet minutes since its start");
        b.next(at(801), at(801));
        assert_eq!(print(b.seconds()), "10s");
    }
}
