//! Durations as Go writes them: `1m30s` (Go's `time.ParseDuration`).

use std::time::Duration;

/// What a unit is in nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Digits behind the point that count.
const PLACES: usize = 18;

/// A duration that is more than nothing.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, behind) = digits(rest);
        let (fraction, behind) = behind.strip_prefix('.').map_or(("", behind), digits);
        let end = behind.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(behind.len());
        let (name, next) = behind.split_at(end);
        let unit = UNITS.iter().find(|(known, _)| *known == name).map(|(_, unit)| u128::from(*unit))?;
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let fraction = &fraction[..fraction.len().min(PLACES)];
        let numerator: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        let part = u128::from(numerator) * unit / 10u128.pow(u32::try_from(fraction.len()).ok()?);
        total = total.checked_add(u128::from(whole) * unit + part)?;
        rest = next;
    }
    let nanos = i64::try_from(total).ok().filter(|nanos| *nanos > 0)?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, millis) in [("1m30s", 90_000), ("1.5h", 5_400_000), (".5s", 500), ("+10s", 10_000), ("1s1s", 2000), ("5.ms", 5)] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for odd in ["", "0", "0s", "10", "-1s", "1 s", "1d", "PT1S", "1 hour", ".s", "s", "9223372036854775807h", "300000h300000h2600000h"] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
