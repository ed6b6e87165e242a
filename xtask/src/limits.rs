//! `docs/limits.md`: every limit on what comes from outside, in one table. A part of `tidy`: the constants in the
//! crates' `limits.rs` and the rows of the table are the same, and so are those that two crates have because neither may
//! know the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

/// The crates that have limits of their own.
const CRATES: &[&str] = &["meta", "cel", "listen", "server", "dns", "runtime"];
/// One limit, said twice.
const SAME: &[(&str, &str)] = &[
    ("meta::MANIFEST", "runtime::DOCUMENT"),
];
const TABLE: &str = "docs/limits.md";

/// Adds what differs.
pub fn check(root: &Path, wrong: &mut Vec<String>) -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).with_context(|| format!("read {path}"));
    let mut limits = BTreeMap::new();
    for name in CRATES {
        constants(name, &read(&format!("crates/{name}/src/limits.rs"))?, &mut limits);
    }
    compare(&limits, &read(TABLE)?, wrong);
    Ok(())
}

fn compare(limits: &BTreeMap<String, String>, table: &str, wrong: &mut Vec<String>) {
    let rows: BTreeSet<(&str, &str)> = table.lines().filter_map(row).collect();
    for (name, figure) in limits {
        if !rows.contains(&(name, figure)) {
            wrong.push(format!("{TABLE}: has no row \"| `{name}` | {figure} |\": a limit that is not in the table is not known"));
        }
    }
    for (name, figure) in &rows {
        if limits.get(*name).is_none_or(|now| now != figure) {
            wrong.push(format!("{TABLE}: `{name}` is not {figure} (any more)"));
        }
    }
    for (one, other) in SAME {
        if limits.get(*one) != limits.get(*other) || !limits.contains_key(*one) {
            wrong.push(format!("{one} and {other} are one limit: what the one lets in the other must take"));
        }
    }
}

/// Name and figure of a row.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    Some((cells.next()?.strip_suffix('`')?, cells.next()?))
}

/// The constants of a file, with their figures as people write them.
fn constants(of: &str, text: &str, into: &mut BTreeMap<String, String>) {
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("pub const ").or_else(|| line.strip_prefix("pub(crate) const ")) else { continue };
        let Some((name, rest)) = rest.split_once(": ") else { continue };
        let Some(value) = rest.split_once(" = ").and_then(|(_, value)| value.strip_suffix(';')) else { continue };
        let figure = into.get(&format!("{of}::{value}")).cloned().unwrap_or_else(|| figure(value));
        into.insert(format!("{of}::{name}"), figure);
    }
}

fn figure(value: &str) -> String {
    if let Some(seconds) = value.strip_prefix("Duration::from_secs(").and_then(|v| v.strip_suffix(')')) {
        return match seconds {
            "24 * 60 * 60" => "24 h".to_owned(),
            seconds => format!("{seconds} s"),
        };
    }
    if let Some(millis) = value.strip_prefix("Duration::from_millis(").and_then(|v| v.strip_suffix(')')) {
        return format!("{millis} ms");
    }
    for (shift, unit) in [(" << 10", "Ki"), (" << 20", "Mi"), (" << 30", "Gi")] {
        if let Some(number) = value.strip_suffix(shift) {
            return format!("{number} {unit}");
        }
    }
    value.replace('_', ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "pub const A: usize = 3 << 20;\npub const B: usize = A;\npub const C: usize = 10_000;\n\
        /// x\npub(crate) const D: Duration = Duration::from_secs(32);\nconst OWN: u8 = 1;\n";

    fn limits() -> BTreeMap<String, String> {
        let mut limits = BTreeMap::new();
        constants("x", TEXT, &mut limits);
        limits
    }

    #[test]
    fn figures_are_written_as_people_write_them() {
        let limits = limits();
        let all: Vec<_> = limits.iter().map(|(name, figure)| (name.as_str(), figure.as_str())).collect();
        assert_eq!(all, [("x::A", "3 Mi"), ("x::B", "3 Mi"), ("x::C", "10,000"), ("x::D", "32 s")]);
    }

    #[test]
    fn what_differs_is_said() {
        let table = "| `x::A` | 3 Mi | text |\n| `x::B` | 3 Mi | |\n| `x::C` | 9,000 | |\n| `x::E` | 1 | |\n";
        let mut wrong = Vec::new();
        compare(&limits(), table, &mut wrong);
        let about = |text: &str| wrong.iter().filter(|line| line.contains(text)).count();
        assert_eq!((about("x::A"), about("x::B"), about("x::C"), about("x::D"), about("x::E")), (0, 0, 2, 1, 1));
        assert_eq!(about("are one limit"), SAME.len());
    }
}
