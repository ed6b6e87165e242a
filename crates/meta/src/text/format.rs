//! Formats of texts that schemas and expressions name.

/// A UUID of any version; its dashes may be missing.
pub fn is_uuid(text: &str) -> bool {
    let mut rest = text;
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some((part, behind)) = rest.split_at_checked(length) else { return false };
        if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

/// Base64 of at least one byte, with its padding.
pub fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let alphabet = digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    !text.is_empty() && text.len().is_multiple_of(4) && padding <= 2 && alphabet
}

/// A day: `2026-12-01`.
pub fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10 && bytes.iter().enumerate().all(|(at, b)| if at == 4 || at == 7 { *b == b'-' } else { b.is_ascii_digit() });
    let number = |from: usize, to: usize| text[from..to].parse::<i16>().unwrap_or(0);
    let small = |from, to| i8::try_from(number(from, to)).unwrap_or(0);
    shaped && jiff::civil::Date::new(number(0, 4), small(5, 7), small(8, 10)).is_ok()
}

/// A day, a time and a zone, as loosely as upstream looks at them.
pub fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let Some((date, time)) = lower.split_once('t') else { return false };
    let bytes = time.split('t').next().unwrap_or_default().as_bytes();
    // hh:mm:ss, perhaps a fraction, then a zone.
    let two = |at: usize, most: &[u8; 2]| {
        bytes.get(at..at + 2).is_some_and(|two| two.iter().all(u8::is_ascii_digit) && two <= &most[..])
    };
    let clock = two(0, b"23") && bytes.get(2) == Some(&b':') && two(3, b"59") && bytes.get(5) == Some(&b':') && two(6, b"59");
    let Some(mut rest) = bytes.get(8..).filter(|_| clock && is_date(date)) else { return false };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    match rest {
        b"z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    }
}
