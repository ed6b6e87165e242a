//! The text of an expression, places in it, and messages that point at them (upstream: cel-go `common/error.go`).

use std::fmt;
use std::sync::Arc;

use crate::limits;

/// A place in a text; line and column are as they are shown, except that columns count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// From 1; -1 for what has no place.
    pub line: i32,
    /// From 0, in characters; -1 for what has no place.
    pub column: i32,
}

impl Location {
    /// What is said of the expression as a whole.
    pub const NONE: Location = Location { line: -1, column: -1 };
}

/// The text of an expression.
#[derive(Clone, Debug)]
pub struct Source {
    text: Arc<str>,
    /// Where its lines begin, in bytes.
    lines: Arc<[usize]>,
}

impl Source {
    /// Of a text.
    pub fn new(text: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Source { text: text.into(), lines }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of a byte.
    pub fn location(&self, offset: usize) -> Location {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..offset).unwrap_or("").chars().count();
        Location { line: i32::try_from(line).unwrap_or(i32::MAX), column: i32::try_from(column).unwrap_or(i32::MAX) }
    }

    fn line(&self, line: i32) -> Option<&str> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let start = *self.lines.get(index)?;
        let end = self.lines.get(index + 1).map_or(self.text.len(), |next| next - 1);
        self.text.get(start..end)
    }
}

/// One message of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Where.
    pub location: Location,
    /// What is wrong.
    pub message: String,
}

/// All that is wrong with an expression; as text it is what clients see.
#[derive(Clone, Debug)]
pub struct Issues {
    source: Source,
    found: Vec<Issue>,
    count: usize,
}

impl Issues {
    /// None yet.
    pub(crate) fn new(source: Source) -> Self {
        Issues { source, found: Vec::new(), count: 0 }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Them, in the order in which they were found.
    pub fn all(&self) -> &[Issue] {
        &self.found
    }

    pub(crate) fn add(&mut self, location: Location, message: impl Into<String>) {
        self.count += 1;
        if self.count <= limits::MESSAGES {
            self.found.push(Issue { location, message: message.into() });
        }
    }

    pub(crate) fn at(&mut self, offset: usize, message: impl Into<String>) {
        let location = self.source.location(offset);
        self.add(location, message);
    }

    fn show(&self, issue: &Issue, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 16_384;
        let Location { line, column } = issue.location;
        write!(f, "ERROR: <input>:{line}:{}: {}", column + 1, issue.message)?;
        let Some(text) = self.source.line(line).filter(|text| text.len() <= LONGEST) else { return Ok(()) };
        let text = text.replace('\t', " ");
        write!(f, "\n | {text}\n | ")?;
        let mut characters = text.chars();
        for c in characters.by_ref().take(usize::try_from(column).unwrap_or(0)) {
            f.write_str(if c.len_utf8() > 1 { "\u{ff0e}" } else { "." })?;
        }
        f.write_str(if characters.next().is_some_and(|c| c.len_utf8() > 1) { "\u{ff3e}" } else { "^" })
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<&Issue> = self.found.iter().collect();
        sorted.sort_by_key(|issue| issue.location);
        for (index, issue) in sorted.into_iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            self.show(issue, f)?;
        }
        match self.count.saturating_sub(limits::MESSAGES) {
            0 => Ok(()),
            more => write!(f, "\n{more} more errors were truncated"),
        }
    }
}

impl std::error::Error for Issues {}
