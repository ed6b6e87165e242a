//! The page of a kind that has none of its own: all fields, with names made readable.

use futures::FutureExt;
use serde_json::Value;

use super::page::Page;
use super::tree::entries;
use super::{Events, Member, head};

/// Fields that stand at the head, or that nobody reads.
const SKIPPED: [&str; 5] =
    [".metadata.managedFields", ".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"];

const ACRONYMS: [&str; 4] = ["API", "URL", "UID", "GUID"];

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "",
    events: Events::Own,
    write: |_, object, page| {
        async move {
            head(page, object);
            fields(page, 0, object, "");
            Ok(())
        }
        .boxed()
    },
};

fn fields(page: &mut Page, level: usize, object: &Value, path: &str) {
    for (field, value) in entries(object) {
        let path = format!("{path}.{field}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        match value {
            Value::Object(_) => {
                page.line(level, format!("{}:", label(field)));
                fields(page, level + 1, value, &path);
            }
            Value::Array(all) => {
                page.line(level, format!("{}:", label(field)));
                for item in all {
                    match item {
                        Value::Object(_) => fields(page, level + 1, item, &path),
                        other => page.line(level + 1, plain(other)),
                    }
                }
            }
            other => page.field(level, &label(field), plain(other)),
        }
    }
}

/// A value as Go's `%v` prints it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => format!("[{}]", all.iter().map(plain).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

/// `lastUpdateTime` becomes `Last Update Time`, `uid` becomes `UID`.
fn label(field: &str) -> String {
    if field.chars().any(|c| !c.is_alphabetic() && c != '-') {
        return field.to_owned();
    }
    let mut merged: Vec<String> = Vec::new();
    let mut parts = split(field).into_iter().peekable();
    while let Some(mut part) = parts.next() {
        let upper = part.chars().count() >= 2 && !part.chars().any(|c| c.is_alphabetic() && !c.is_uppercase());
        if let Some(next) = parts.next_if(|next| upper && next.starts_with(char::is_uppercase)) {
            part.push_str(&next);
        }
        merged.push(part);
    }
    merged.into_iter().map(titled).collect::<Vec<_>>().join(" ")
}

fn titled(part: String) -> String {
    if ACRONYMS.contains(&part.to_uppercase().as_str()) {
        return part.to_uppercase();
    }
    if part.to_lowercase() != part {
        return part;
    }
    let mut chars = part.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Runs of lower case, upper case and other characters; the last capital of a run begins the word after it.
fn split(field: &str) -> Vec<String> {
    let class = |c: char| if c.is_lowercase() { 1 } else if c.is_uppercase() { 2 } else { 3 };
    let mut runs: Vec<Vec<char>> = Vec::new();
    for c in field.chars() {
        match runs.last_mut().filter(|run| run.last().is_some_and(|l| class(*l) == class(c))) {
            Some(run) => run.push(c),
            None => runs.push(vec![c]),
        }
    }
    for i in 1..runs.len() {
        let (before, after) = runs.split_at_mut(i);
        let (Some(run), next) = (before.last_mut(), &mut after[0]) else { continue };
        let lower = next.first().is_some_and(|c| c.is_lowercase());
        if let Some(capital) = run.pop_if(|c| lower && c.is_uppercase()) {
            next.insert(0, capital);
        }
    }
    runs.into_iter().filter(|r| !r.is_empty()).map(|r| r.into_iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn names_of_fields_are_readable() {
        let cases = [
            ("apiVersion", "API Version"),
            ("uid", "UID"),
            ("holderIdentity", "Holder Identity"),
            ("podCIDR", "Pod CIDR"),
            ("podIPs", "Pod I Ps"),
            ("kubernetes.io/x", "kubernetes.io/x"),
        ];
        for (field, expected) in cases {
            assert_eq!(label(field), expected, "{field}");
        }
    }
}
