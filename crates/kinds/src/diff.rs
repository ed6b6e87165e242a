//! The difference of two trees as people read it: a unified diff of their indented JSON (upstream:
//! `apimachinery/pkg/util/diff.Diff`).

use std::fmt::Write;

use serde_json::{Map, Value};

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// The most lines of a side that are compared line by line; beyond, the middle is replaced as a whole.
const LIMIT: usize = 2000;

/// What changed from `old` to `new`.
pub fn of(old: &Value, new: &Value) -> String {
    let (old, new) = (lines(old), lines(new));
    let marks = compare(&old, &new);
    let mut out = String::new();
    let mut at = 0;
    while let Some(first) = (at..marks.len()).find(|i| marks[*i].0 != ' ') {
        let start = first.saturating_sub(CONTEXT).max(at);
        let mut end = first + 1;
        while let Some(next) = (end..marks.len().min(end + 2 * CONTEXT + 1)).find(|i| marks[*i].0 != ' ') {
            end = next + 1;
        }
        let end = (end + CONTEXT).min(marks.len());
        hunk(&mut out, &marks[..start], &marks[start..end]);
        at = end;
    }
    out
}

fn hunk(out: &mut String, before: &[(char, &str)], lines: &[(char, &str)]) {
    let count = |part: &[(char, &str)], other: char| part.iter().filter(|(mark, _)| *mark != other).count();
    let side = |other: char| {
        let (start, length) = (count(before, other), count(lines, other));
        let start = if length == 0 { start } else { start + 1 };
        if length == 1 { start.to_string() } else { format!("{start},{length}") }
    };
    let _ = writeln!(out, "@@ -{} +{} @@", side('+'), side('-'));
    for (mark, line) in lines {
        let _ = writeln!(out, "{mark}{line}");
    }
}

/// Each line with what happened to it: ` `, `-` or `+`.
fn compare<'a>(old: &'a [String], new: &'a [String]) -> Vec<(char, &'a str)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[head..], &new[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
    let mut marks: Vec<(char, &str)> = old[..head].iter().map(|l| (' ', l.as_str())).collect();
    if a.len().max(b.len()) > LIMIT {
        marks.extend(a.iter().map(|l| ('-', l.as_str())).chain(b.iter().map(|l| ('+', l.as_str()))));
    } else {
        middle(a, b, &mut marks);
    }
    marks.extend(old[old.len() - tail..].iter().map(|l| (' ', l.as_str())));
    marks
}

/// The longest common subsequence, by table.
fn middle<'a>(a: &'a [String], b: &'a [String], marks: &mut Vec<(char, &'a str)>) {
    let width = b.len() + 1;
    let mut common = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let here = if a[i] == b[j] { common[(i + 1) * width + j + 1] + 1 } else { 0 };
            common[i * width + j] = here.max(common[(i + 1) * width + j]).max(common[i * width + j + 1]);
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            marks.push((' ', &a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            marks.push(('-', &a[i]));
            i += 1;
        } else {
            marks.push(('+', &b[j]));
            j += 1;
        }
    }
}

/// The JSON of a value, sorted by name, one field a line, indented by one space.
fn lines(value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    write(value, 0, "", &mut out);
    out
}

fn write(value: &Value, depth: usize, prefix: &str, out: &mut Vec<String>) {
    let indent = " ".repeat(depth);
    let mut block = |open: &str, close: &str, entries: Vec<(String, &Value)>| {
        if entries.is_empty() {
            out.push(format!("{indent}{prefix}{open}{close}"));
            return;
        }
        out.push(format!("{indent}{prefix}{open}"));
        let last = entries.len() - 1;
        for (i, (name, entry)) in entries.into_iter().enumerate() {
            write(entry, depth + 1, &name, out);
            if let Some(line) = out.last_mut().filter(|_| i < last) {
                line.push(',');
            }
        }
        out.push(format!("{indent}{close}"));
    };
    match value {
        Value::Object(map) => block("{", "}", sorted(map)),
        Value::Array(list) => block("[", "]", list.iter().map(|v| (String::new(), v)).collect()),
        other => out.push(format!("{indent}{prefix}{other}")),
    }
}

fn sorted(map: &Map<String, Value>) -> Vec<(String, &Value)> {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by_key(|(name, _)| *name);
    entries.into_iter().map(|(name, value)| (format!("{}: ", Value::from(name.as_str())), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_changed_field() {
        let (old, new) = (json!({"a": 1, "b": [1, 2], "c": "x"}), json!({"a": 1, "b": [1, 3], "c": "x"}));
        let want = "@@ -2,7 +2,7 @@\n  \"a\": 1,\n  \"b\": [\n   1,\n-  2\n+  3\n  ],\n  \"c\": \"x\"\n }\n";
        assert_eq!(of(&old, &new), want);
        assert_eq!(of(&old, &old), "");
    }
}
