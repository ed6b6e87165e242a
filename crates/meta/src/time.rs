//! Times as the API prints them.

use jiff::Timestamp;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_upstream() {
        let t = parse("2026-11-22T10:00:00.5Z").expect("parses");
        assert_eq!(seconds(t), "2026-11-22T10:00:00Z");
        assert_eq!(micros(t), "2026-11-22T10:00:00.500000Z");
    }
}
