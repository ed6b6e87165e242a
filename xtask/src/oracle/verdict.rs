//! Two answers to one request: what differs, and how it is shown.

use jiff::Timestamp;

use super::normal::{self, Context};
use super::side::Answer;
use super::transcript::Case;
use super::tree::{self, Difference, Tree};
use super::wire;

/// Headers that clients read.
const HEADERS: &[&str] = &[
    "content-type",
    "warning",
    "location",
    "retry-after",
    "allow",
    "cache-control",
    "content-encoding",
    "www-authenticate",
    "x-content-type-options",
];

/// Width of a column.
const COLUMN: usize = 96;
/// Equal lines shown around different ones.
const AROUND: usize = 2;

/// The places at which two answers differ.
pub fn compare(case: &Case, upstream: &Answer, ours: &Answer, now: Timestamp) -> Vec<Difference> {
    let sent = format!("{} {}", case.path, String::from_utf8_lossy(&case.body));
    let context = Context { sent: &sent, now };
    let mut out = Vec::new();
    let (a, b) = (Tree::Leaf(upstream.status.to_string()), Tree::Leaf(ours.status.to_string()));
    tree::compare("status", &a, &b, &mut out);
    for name in HEADERS {
        let values = |answer: &Answer| {
            let values = answer.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| Tree::Text(context.text(v)));
            Tree::List(values.collect())
        };
        tree::compare(&format!("header {name}"), &values(upstream), &values(ours), &mut out);
    }
    tree::compare("body", &body_of(case, upstream, now), &body_of(case, ours, now), &mut out);
    out
}

/// The body of an answer, masked.
pub fn body_of(case: &Case, answer: &Answer, now: Timestamp) -> Tree {
    let sent = format!("{} {}", case.path, String::from_utf8_lossy(&case.body));
    let mut tree = body(answer, &Context { sent: &sent, now });
    if case.path.contains("selfsubjectrulesreviews") {
        normal::sort_rules(&mut tree);
    }
    tree
}

/// The body as a tree, masked.
fn body(answer: &Answer, context: &Context<'_>) -> Tree {
    let media = answer.header("content-type");
    let parsed = if media.starts_with("application/yaml") {
        // Quotes and line breaks of YAML mean nothing.
        std::str::from_utf8(&answer.body).ok().and_then(|text| serde_saphyr::from_str(text).ok())
    } else if media.starts_with("application/json") || answer.body.starts_with(b"{\"paths\":") {
        documents(&answer.body)
    } else if media.starts_with("application/vnd.kubernetes.protobuf;stream=watch") {
        wire::frames(&answer.body)
    } else if media.starts_with("application/vnd.kubernetes.protobuf") {
        wire::tree(&answer.body)
    } else {
        None
    };
    match parsed {
        Some(mut tree) => {
            context.tree(&mut tree);
            tree
        }
        None => {
            let text = context.text(&String::from_utf8_lossy(&answer.body));
            Tree::List(text.lines().map(|line| Tree::Text(line.to_owned())).collect())
        }
    }
}

/// One JSON document as it is; several, as a watch sends them, as a list.
fn documents(body: &[u8]) -> Option<Tree> {
    let documents: Result<Vec<Tree>, _> = serde_json::Deserializer::from_slice(body).into_iter().collect();
    let mut documents = documents.ok()?;
    if documents.len() == 1 { documents.pop() } else { Some(Tree::List(documents)) }
}

/// The places at which they differ.
pub fn places(differences: &[&Difference]) -> String {
    let shown = |Difference { at, upstream, ours }: &Difference| format!("* {at}\n    upstream: {upstream}\n    ours:     {ours}\n");
    differences.iter().map(|difference| shown(difference)).collect()
}

/// The request, and both answers side by side.
pub fn show(case: &Case, upstream: &Answer, ours: &Answer, now: Timestamp) -> String {
    let mut out = format!("\n--- {}\n{} {}\n", case.title, case.method, case.path);
    for (name, value) in &case.headers {
        out.push_str(&format!("{name}: {value}\n"));
    }
    if !case.body.is_empty() {
        let text = String::from_utf8_lossy(&case.body);
        let shown: String = text.chars().take(4000).collect();
        out.push_str(&format!("\n{shown}\n"));
    }
    let sent = String::from_utf8_lossy(&case.body);
    let context = Context { sent: &sent, now };
    let lines = |answer: &Answer| {
        let mut lines = vec![answer.status.to_string()];
        lines.extend(body(answer, &context).lines());
        lines
    };
    side_by_side(&mut out, &lines(upstream), &lines(ours));
    out
}

fn side_by_side(out: &mut String, left: &[String], right: &[String]) {
    let head = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let tail = left[head..].iter().rev().zip(right[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let cut = |lines: &'_ [String]| -> Vec<String> {
        let end = (lines.len() - tail + AROUND).min(lines.len());
        lines[head.saturating_sub(AROUND)..end].iter().map(|line| clip(line)).collect()
    };
    let (left, right) = (cut(left), cut(right));
    for index in 0..left.len().max(right.len()).min(60) {
        let (a, b) = (left.get(index).map_or("", String::as_str), right.get(index).map_or("", String::as_str));
        let mark = if a == b { ' ' } else { '|' };
        out.push_str(&format!("{a:<COLUMN$} {mark} {b}\n"));
    }
}

fn clip(line: &str) -> String {
    line.chars().take(COLUMN).collect()
}

/// A difference without what is particular to its case: equal ones have the same cause, most likely.
pub fn family(difference: &Difference) -> String {
    let plain = |text: &str| {
        let text: String = text.chars().take(140).map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        text.replace("##", "#").replace("##", "#")
    };
    format!("{}  {}  ≠  {}", plain(&difference.at), plain(&difference.upstream), plain(&difference.ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Answer { status, headers, body: body.to_owned().into() }
    }

    #[test]
    fn status_header_and_body_count() {
        let case = Case::new("t/c", "GET", "/x");
        let (a, b) = (answer(200, r#"{"a":1}"#), answer(404, r#"{"a":2}"#));
        let found = compare(&case, &a, &b, Timestamp::UNIX_EPOCH);
        assert_eq!(found.iter().map(|d| d.at.as_str()).collect::<Vec<_>>(), ["status", "body.a"]);
        let all: Vec<&Difference> = found.iter().collect();
        let shown = show(&case, &a, &b, Timestamp::UNIX_EPOCH) + &places(&all);
        assert!(shown.contains("GET /x") && shown.contains("upstream: 1"), "{shown}");
    }
}
