//! Times as the API prints them.

use jiff::{SignedDuration, Timestamp};

/// `metav1.Time`: RFC 3339 in UTC with whole seconds.
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `metav1.MicroTime`: RFC 3339 in UTC, always six digits.
pub fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads either form.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The time that many seconds after (or before) another one; the last or first that there is, when there is none.
/// Seconds of clients are any number, and so are their times.
pub fn after(at: Timestamp, seconds: i64) -> Timestamp {
    let end = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(end)
}

/// A duration as kubectl shows it: `5s`, `2m5s`, `3h`, `4d2h`, `2y11d`
/// (upstream: `apimachinery/pkg/util/duration.HumanDuration`).
pub fn human(seconds: i64) -> String {
    let pair = |a: i64, x: &str, b: i64, y: &str| if b == 0 { format!("{a}{x}") } else { format!("{a}{x}{b}{y}") };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        s if s < -1 => "<invalid>".to_owned(),
        s if s < 0 => "0s".to_owned(),
        s if s < 120 => format!("{s}s"),
        s if minutes < 10 => pair(minutes, "m", s % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => pair(hours / 24, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => pair(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_upstream() {
        let t = parse("2026-11-22T10:00:00.5Z").expect("parses");
        assert_eq!(seconds(t), "2026-11-22T10:00:00Z");
        assert_eq!(micros(t), "2026-11-22T10:00:00.500000Z");
    }

    #[test]
    fn no_number_of_seconds_is_too_many() {
        let t = parse("2026-11-22T10:00:00Z").expect("parses");
        assert_eq!(seconds(after(t, -60)), "2026-11-22T09:59:00Z");
        for (most, year) in [(i64::MAX, "9999"), (i64::MIN, "-9999")] {
            assert!(seconds(after(t, most)).starts_with(year), "{}", seconds(after(t, most)));
            assert_eq!(after(after(t, most), most), after(t, most));
        }
    }
}
