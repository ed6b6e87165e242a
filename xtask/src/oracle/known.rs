//! Known differences: a list with a reason each; an entry that matches nothing is an error.
//!
//! A line is `CASE :: PLACE :: UPSTREAM :: OURS :: REASON`; `*` stands for any text. A reason that begins with
//! `sometimes: ` is one of chance: the entry may match nothing.

use std::cell::Cell;

use anyhow::{Result, bail};

use super::tree::Difference;

/// So many mutations show every known difference among them.
const MANY: usize = 10_000;

/// The list.
#[derive(Default)]
pub struct Known(Vec<Entry>);

struct Entry {
    line: usize,
    patterns: [String; 4],
    /// It depends on chance.
    sometimes: bool,
    used: Cell<usize>,
}

impl Known {
    /// Reads the list.
    pub fn parse(text: &str) -> Result<Known> {
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
            let parts: Vec<&str> = line.split(" :: ").map(str::trim).collect();
            let [case, place, upstream, ours, reason] = parts[..] else {
                bail!("line {}: CASE :: PLACE :: UPSTREAM :: OURS :: REASON", number + 1);
            };
            if reason.is_empty() {
                bail!("line {}: a difference without a reason", number + 1);
            }
            let patterns = [case, place, upstream, ours].map(str::to_owned);
            entries.push(Entry { line: number + 1, patterns, sometimes: reason.starts_with("sometimes: "), used: Cell::new(0) });
        }
        Ok(Known(entries))
    }

    /// Whether the difference is on the list.
    pub fn has(&self, case: &str, difference: &Difference) -> bool {
        let values = [case, &difference.at, &difference.upstream, &difference.ours];
        let fits = |entry: &&Entry| entry.patterns.iter().zip(values).all(|(pattern, value)| glob(pattern, value));
        let Some(entry) = self.0.iter().find(fits) else { return false };
        entry.used.set(entry.used.get() + 1);
        true
    }

    /// Lines that matched nothing. Those that mutations may use, too, may find none among few (`cases`).
    pub fn unused(&self, cases: usize) -> Vec<String> {
        let of_mutations = |entry: &Entry| entry.patterns[0].starts_with("mutation/") || entry.patterns[0].starts_with('*');
        let due = |entry: &&Entry| !entry.sometimes && (cases >= MANY || !of_mutations(entry));
        let unused = self.0.iter().filter(|entry| entry.used.get() == 0).filter(due);
        unused.map(|entry| format!("line {}: {}", entry.line, entry.patterns.join(" :: "))).collect()
    }
}

/// Whether the text fits a pattern in which `*` is any text.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_match_by_pattern_and_are_counted() {
        let known = Known::parse("# c\na/* :: .x :: 1 :: * :: because\nb :: * :: * :: * :: never\n").expect("reads");
        let difference = |at: &str| Difference { at: at.to_owned(), upstream: "1".to_owned(), ours: "2".to_owned() };
        assert!(known.has("a/b", &difference(".x")));
        assert!(!known.has("a/b", &difference(".y")));
        assert_eq!(known.unused(0).len(), 1);
        let seeded = Known::parse("mutation/a :: * :: * :: * :: r\n* :: * :: * :: * :: r\n").expect("reads");
        assert_eq!((seeded.unused(0).len(), seeded.unused(MANY).len()), (0, 2));
        assert!(Known::parse("a :: b").is_err());
    }

    #[test]
    fn patterns() {
        assert!(glob("a*b*c", "a12b3c") && glob("*", "") && glob("a", "a") && glob("*c", "abc"));
        assert!(!glob("a*b", "ac") && !glob("a", "ab") && !glob("*c", "cd"));
    }
}
