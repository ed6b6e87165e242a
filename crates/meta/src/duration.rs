//! Durations as Go writes them: `1h30m` (Go's `time.ParseDuration`).

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
/// One more than the longest, in nanoseconds.
const END: u64 = 1 << 63;

/// The duration in nanoseconds; the error is in Go's words.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, behind) = digits(rest);
        let (fraction, behind) = behind.strip_prefix('.').map_or(("", behind), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = behind.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(behind.len());
        let (name, next) = behind.split_at(end);
        let unit = UNITS.iter().find(|(known, _)| *known == name).map(|(_, unit)| *unit);
        let unit = unit.ok_or_else(|| match name {
            "" => format!("time: missing unit in duration {text:?}"),
            name => format!("time: unknown unit {name:?} in duration {text:?}"),
        })?;
        let part = amount(whole, fraction, unit).and_then(|part| total.checked_add(part));
        total = part.filter(|total| *total <= END).ok_or_else(invalid)?;
        rest = next;
    }
    match i64::try_from(total) {
        Ok(nanos) => Ok(if negative { -nanos } else { nanos }),
        Err(_) if negative => Ok(i64::MIN),
        Err(_) => Err(invalid()),
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn amount(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let whole = whole.checked_mul(unit).filter(|nanos| *nanos <= END)?;
    // Digits that no longer fit are left out.
    let fits = (0..=fraction.len()).rev().find_map(|end| Some((end, fraction.get(..end)?.parse::<i64>().ok()?)));
    let (count, numerator) = fits.unwrap_or((0, 0));
    let part = numerator as f64 * (unit as f64 / 10f64.powi(i32::try_from(count).ok()?));
    whole.checked_add(part as u64).filter(|nanos| *nanos <= END)
}
