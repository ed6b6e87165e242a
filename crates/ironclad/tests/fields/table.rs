//! The checked list: what becomes of each field, and who has seen it.
//!
//! A line is a pattern of paths, a word, and what the word needs. `*` in a pattern stands for a part of one name; `**`
//! at its end for all that is below. Of several patterns that fit, the one counts that is plain for longest.

use std::path::Path;

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Some decision differs; the test named sees it where it acts.
    Acts,
    /// It acts where the node has what it takes; else the pod is refused when it starts.
    Needs,
    /// It acts where no decision shows it, and the test named sees it there.
    Test,
    /// Refused in words that contain these.
    Refused,
    /// A rule that no plug-in knows yet: the pod stays Pending, and the event says these words.
    Pending,
    /// The feature gate is off in 1.36: it is dropped.
    Dropped,
    /// It has no effect upstream either, or not on nodes of this sort; why.
    Informative,
    /// A preference for which the scheduler's plug-in is not there yet.
    Later,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Row {
    pub pattern: String,
    pub fate: Fate,
    pub words: String,
}

/// Reads the list; says what is wrong with its form.
pub fn read(text: &str, wrong: &mut Vec<String>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut parts = line.splitn(3, char::is_whitespace).map(str::trim);
        let (pattern, word, words) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let fate = match word {
            "acts" => Fate::Acts,
            "needs" => Fate::Needs,
            "test" => Fate::Test,
            "refused" => Fate::Refused,
            "pending" => Fate::Pending,
            "dropped" => Fate::Dropped,
            "informative" => Fate::Informative,
            "later" => Fate::Later,
            _ => {
                wrong.push(format!("{line:?}: no such word"));
                continue;
            }
        };
        if words.is_empty() {
            wrong.push(format!("{pattern}: says neither test nor reason"));
        }
        // Who is not seen by any decider is named field by field.
        if pattern.ends_with("**") && matches!(fate, Fate::Test | Fate::Informative) {
            wrong.push(format!("{pattern}: a reason is for one field, not for all below"));
        }
        if rows.iter().any(|row| row.pattern == pattern) {
            wrong.push(format!("{pattern}: is there twice"));
        }
        rows.push(Row { pattern: pattern.to_owned(), fate, words: words.to_owned() });
    }
    rows
}

/// The line of a path.
pub fn row<'a>(rows: &'a [Row], path: &str) -> Option<&'a Row> {
    let plain = |pattern: &str| pattern.find('*').unwrap_or(pattern.len());
    rows.iter().filter(|row| fits(&row.pattern, path)).max_by_key(|row| (plain(&row.pattern), row.pattern.len()))
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, open) = match pattern.strip_suffix("**") {
        Some(start) => (start.trim_end_matches('.'), true),
        None => (pattern, false),
    };
    let (patterns, names): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), path.split('.').collect());
    let long_enough = if open { names.len() >= patterns.len() } else { names.len() == patterns.len() };
    long_enough && patterns.iter().zip(&names).all(|(pattern, name)| fits_name(pattern, name))
}

fn fits_name(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
    }
}

/// All test functions of the crates, by name.
pub fn tests(crates: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![crates.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())).flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                found.extend(text.lines().filter_map(function));
            }
        }
    }
    found
}

fn function(line: &str) -> Option<String> {
    let rest = line.trim_start().trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")?;
    Some(rest.split(['(', '<']).next()?.to_owned())
}
