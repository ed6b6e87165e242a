//! One line of a log. Pure.

use jiff::Timestamp;

/// What to let through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Lines from then on.
    pub since: Option<Timestamp>,
    /// Each line with its time.
    pub timestamps: bool,
    /// `stdout` or `stderr` alone.
    pub stream: Option<&'static str>,
    /// Bytes that may still pass.
    pub limit: Option<u64>,
}

impl Filter {
    /// The text that a raw line (with its newline) shows; `None` when it is not to be shown.
    pub fn show(&mut self, raw: &[u8]) -> Option<Vec<u8>> {
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        let mut parts = raw.splitn(4, |b| *b == b' ');
        let (time, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let text = parts.next().unwrap_or_default();
        if self.stream.is_some_and(|s| s.as_bytes() != stream) {
            return None;
        }
        if let Some(since) = self.since {
            let at: Timestamp = std::str::from_utf8(time).ok()?.parse().ok()?;
            if at < since {
                return None;
            }
        }
        let mut shown = Vec::with_capacity(raw.len());
        if self.timestamps {
            shown.extend_from_slice(time);
            shown.push(b' ');
        }
        shown.extend_from_slice(text);
        if tag.first() != Some(&b'P') {
            shown.push(b'\n');
        }
        if let Some(left) = &mut self.limit {
            shown.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= shown.len() as u64;
        }
        Some(shown)
    }

    /// Nothing more will pass.
    pub fn is_exhausted(&self) -> bool {
        self.limit == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let raw = b"2026-01-01T00:00:01.5Z stdout F hello world\n";
        let show = |mut f: Filter| f.show(raw).map(|b| String::from_utf8(b).expect("text"));
        assert_eq!(show(Filter::default()).as_deref(), Some("hello world\n"));
        assert_eq!(show(Filter { timestamps: true, ..Filter::default() }).as_deref(), Some("2026-01-01T00:00:01.5Z hello world\n"));
        assert_eq!(show(Filter { stream: Some("stderr"), ..Filter::default() }), None);
        assert_eq!(show(Filter { limit: Some(3), ..Filter::default() }).as_deref(), Some("hel"));
        assert_eq!(show(Filter { since: "2026-01-01T00:00:02Z".parse().ok(), ..Filter::default() }), None);
        assert_eq!(Filter::default().show(b"2026-01-01T00:00:01Z stdout P par").as_deref(), Some(&b"par"[..]));
    }
}
