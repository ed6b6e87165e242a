//! Moments as upstream reads them in values, and why a text is none, in the words of Go's `time.Parse`.

use cel::value::{Error, Timestamp};

const DATE: &str = "2006-01-02";
const DATE_TIME: &str = "2006-01-02T15:04:05";

/// A date.
pub fn date(text: &str) -> Result<Timestamp, Error> {
    match Timestamp::parse(&format!("{text}T00:00:00Z")) {
        Some(moment) if text.len() == DATE.len() => moment,
        _ => Err(Error::made(format!("Invalid date formatted string {text}: {}", why(text, DATE)))),
    }
}

/// A date and a time, with a zone or in UTC.
pub fn date_time(text: &str) -> Result<Timestamp, Error> {
    if text.is_empty() {
        return Timestamp::new(0, 0);
    }
    let moment = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}Z")));
    // Upstream tells of the last form that it tried.
    moment.unwrap_or_else(|| Err(Error::made(format!("Invalid date-time formatted string {text}: {}", why(text, DATE_TIME)))))
}

/// Why a text does not have the form of a layout.
fn why(text: &str, layout: &str) -> String {
    let about = format!("parsing time {}", quoted(text));
    let cannot = |rest: &str, element: &str| format!("{about} as {}: cannot parse {} as {}", quoted(layout), quoted(rest), quoted(element));
    let mut rest = text;
    let mut element = layout;
    let mut numbers = [0u32; 6];
    for (index, number) in numbers.iter_mut().enumerate() {
        let Some(length) = [4, 2, 2, 2, 2, 2].get(index).copied().filter(|_| !element.is_empty()) else { break };
        let name = &element[..length];
        // An hour may have one digit.
        let digits = rest.bytes().take(length).take_while(u8::is_ascii_digit).count();
        let taken = if digits == length { length } else { digits.min(usize::from(index == 3)) };
        if taken == 0 {
            return cannot(rest, name);
        }
        *number = rest[..taken].parse().unwrap_or(0);
        rest = &rest[taken..];
        element = &element[length..];
        let wrong = match (index, *number) {
            (1, 0 | 13..) => Some("month"),
            (3, 24..) => Some("hour"),
            (4, 60..) => Some("minute"),
            (5, 60..) => Some("second"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return format!("{about}: {wrong} out of range");
        }
        if let Some(between) = element.get(..1) {
            let Some(behind) = rest.strip_prefix(between) else { return cannot(rest, between) };
            (rest, element) = (behind, &element[1..]);
        }
    }
    let fraction = rest.strip_prefix(['.', ',']).filter(|digits| layout == DATE_TIME && digits.starts_with(|c: char| c.is_ascii_digit()));
    let rest = fraction.map_or(rest, |digits| digits.trim_start_matches(|c: char| c.is_ascii_digit()));
    if rest.is_empty() { format!("{about}: day out of range") } else { format!("{about}: extra text: {}", quoted(rest)) }
}

/// In quotes, as Go's package `time` writes them.
fn quoted(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        other => format!("\\x{other:02x}"),
    };
    format!("\"{}\"", text.bytes().map(letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_moment_is_told_as_go_tells_it() {
        let said = |text: &str| date_time(text).err().map(|why| why.to_string()).unwrap_or_default();
        for (text, end) in [
            ("2026-12-01T10:00:00Z", ""),
            ("2026-12-01T10:00:00", ""),
            ("abc", r#"parsing time "abc" as "2006-01-02T15:04:05": cannot parse "abc" as "2006""#),
            ("2026-1", r#"parsing time "2026-1" as "2006-01-02T15:04:05": cannot parse "1" as "01""#),
            ("2026-12-01", r#"parsing time "2026-12-01" as "2006-01-02T15:04:05": cannot parse "" as "T""#),
            ("2026-13-01T10:00:00Z", r#"parsing time "2026-13-01T10:00:00Z": month out of range"#),
            ("2026-02-30T10:00:00", r#"parsing time "2026-02-30T10:00:00": day out of range"#),
            ("2026-12-01T10:00:00.5ü", r#"parsing time "2026-12-01T10:00:00.5\xc3\xbc": extra text: "\xc3\xbc""#),
        ] {
            let whole = if end.is_empty() { String::new() } else { format!("Invalid date-time formatted string {text}: {end}") };
            assert_eq!(said(text), whole);
        }
        assert!(date("2026-12-01").is_ok() && date("2026-12-01Z").is_err());
    }
}
