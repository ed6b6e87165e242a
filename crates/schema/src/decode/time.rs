//! RFC 3339 as Go's `time.Parse` reads and refuses it.

/// Seconds since 1970 (UTC) and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// The rest.
    pub nanos: u32,
}

const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
const MICRO: &str = "2006-01-02T15:04:05.000000Z07:00";
const ZERO_SECONDS: i64 = -62_135_596_800;

/// The text of a `metav1.Time`: UTC, whole seconds; null for year one. The error is Go's.
pub fn normal_time(text: &str) -> Result<Option<String>, String> {
    let instant = parse(text, RFC3339, false)?;
    Ok((instant.seconds != ZERO_SECONDS || instant.nanos != 0).then(|| instant.print()))
}

/// The text of a `metav1.MicroTime`: UTC, six digits; null for year one. The error is Go's.
pub fn normal_micro_time(text: &str) -> Result<Option<String>, String> {
    let instant = parse(text, MICRO, true)?;
    Ok((instant.seconds != ZERO_SECONDS || instant.nanos != 0).then(|| instant.print_micro()))
}

impl Instant {
    /// Reads either form.
    pub fn read(text: &str) -> Option<Instant> {
        parse(text, RFC3339, false).ok()
    }

    /// `2006-01-02T15:04:05Z`.
    pub fn print(self) -> String {
        let (year, month, day) = civil(self.seconds.div_euclid(86_400));
        let of_day = self.seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// `2006-01-02T15:04:05.000000Z`.
    pub fn print_micro(self) -> String {
        let mut text = self.print();
        text.pop();
        text.push_str(&format!(".{:06}Z", self.nanos / 1000));
        text
    }
}

fn parse(text: &str, layout: &str, micro: bool) -> Result<Instant, String> {
    let fail = |(rest, element): (&str, &str)| {
        let (text, rest) = (quoted(text), quoted(rest));
        Err(format!("parsing time {text} as {layout:?}: cannot parse {rest} as {element:?}"))
    };
    let (numbers, mut rest) = match numbers(text) {
        Ok(read) => read,
        Err(Unread::Element(rest, element)) => return fail((rest, element)),
        Err(Unread::Range(what)) => return Err(format!("parsing time {}: {what} out of range", quoted(text))),
    };
    let mut nanos = 0;
    match fraction(rest) {
        Some((digits, after)) if !micro || digits.len() == 6 => {
            nanos = format!("{digits:0<9}")[..9].parse().unwrap_or(0);
            rest = after;
        }
        _ if micro => return fail((rest, ".000000")),
        _ => {}
    }
    let Some((offset, after)) = zone(rest) else { return fail((rest, "Z07:00")) };
    if !after.is_empty() {
        return Err(format!("parsing time {}: extra text: {}", quoted(text), quoted(after)));
    }
    let [year, month, day, hour, minute, second] = numbers;
    if !(1..=days_in(year, month)).contains(&day) {
        return Err(format!("parsing time {}: day out of range", quoted(text)));
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Ok(Instant { seconds, nanos })
}

/// A text as Go's errors about times show it: what is no simple character is shown by its bytes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=0x7f => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

/// Why a text is no time.
enum Unread<'a> {
    /// This cannot be read as that element of the layout.
    Element(&'a str, &'static str),
    /// A number is too large.
    Range(&'static str),
}

/// Year to second, and what follows. Numbers are looked at as they are read, but for the day, which needs all others.
fn numbers(text: &str) -> Result<([i64; 6], &str), Unread<'_>> {
    const ANY: std::ops::RangeInclusive<i64> = 0..=9999;
    let elements = [
        ("2006", "-", ANY, ""),
        ("01", "-", 1..=12, "month"),
        ("02", "T", ANY, ""),
        ("15", ":", 0..=23, "hour"),
        ("04", ":", 0..=59, "minute"),
        ("05", "", 0..=59, "second"),
    ];
    let mut numbers = [0; 6];
    let mut rest = text;
    for (number, (element, separator, valid, what)) in numbers.iter_mut().zip(elements) {
        let mut digits = rest.bytes().take(element.len()).take_while(u8::is_ascii_digit).count();
        // An hour may have one digit.
        if digits < element.len() && (element, digits) != ("15", 1) {
            digits = 0;
        }
        *number = rest[..digits].parse().map_err(|_| Unread::Element(rest, element))?;
        if !valid.contains(number) {
            return Err(Unread::Range(what));
        }
        rest = &rest[digits..];
        rest = rest.strip_prefix(separator).ok_or(Unread::Element(rest, separator))?;
    }
    Ok((numbers, rest))
}

fn fraction(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(['.', ','])?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (end > 0).then(|| rest.split_at(end))
}

/// Offset in seconds, and what follows.
fn zone(text: &str) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (text.get(1..3)?.parse::<u8>().ok()?, text.get(4..6)?.parse::<u8>().ok()?);
    let valid = text.get(3..4)? == ":" && hours <= 24 && minutes <= 60;
    valid.then(|| (sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60), &text[6..]))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_refused_as_by_go() {
        assert_eq!(normal_time("2026-11-22T12:30:00.5+02:00"), Ok(Some("2026-11-22T10:30:00Z".into())));
        assert_eq!(normal_time("0001-01-01T00:00:00Z"), Ok(None));
        assert_eq!(normal_micro_time("2024-02-29T23:59:59.000001Z"), Ok(Some("2024-02-29T23:59:59.000001Z".into())));
        let error = r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#;
        assert_eq!(normal_time("x"), Err(error.into()));
        assert_eq!(normal_time("2023-02-29T00:00:00Z"), Err(r#"parsing time "2023-02-29T00:00:00Z": day out of range"#.into()));
        let foreign = r#"parsing time "\xc3\x9c" as "2006-01-02T15:04:05Z07:00": cannot parse "\xc3\x9c" as "2006""#;
        assert_eq!(normal_time("Ü"), Err(foreign.into()));
        let early = r#"parsing time "2004-13-01T00:00:00Z": month out of range"#;
        assert_eq!(normal_micro_time("2004-13-01T00:00:00Z"), Err(early.into()));
        assert_eq!(normal_time("2004-12-01T5:00:00Z"), Ok(Some("2004-12-01T05:00:00Z".into())));
        for seconds in [ZERO_SECONDS, -1, 0, 951_782_400, 4_102_444_799] {
            let text = Instant { seconds, nanos: 0 }.print();
            assert_eq!(Instant::read(&text), Some(Instant { seconds, nanos: 0 }));
        }
    }
}
