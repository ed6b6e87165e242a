//! `-o jsonpath`: the templates of `k8s.io/client-go/util/jsonpath`.

use meta::jsonpath::{closing, evaluate, unquoted};
use serde_json::Value;

use super::compact;

pub use meta::jsonpath::find;

/// Evaluates a template; an error is upstream's text.
pub fn render(template: &str, root: &Value) -> Result<String, String> {
    let pieces = split(template)?;
    let mut out = String::new();
    let end = run(&pieces, 0, root, root, &mut out)?;
    if end < pieces.len() { Err("not in range, nothing to end".to_owned()) } else { Ok(out) }
}

/// Whether a template can be read at all.
pub fn check(template: &str) -> Result<(), String> {
    split(template).map(drop)
}

/// All values that the actions of a template find.
pub fn find_all(template: &str, root: &Value) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for piece in split(template)? {
        if let Piece::Action(action) = piece {
            all.extend(evaluate(&action, root, root)?.into_iter().cloned());
        }
    }
    Ok(all)
}

/// How a found value is written: texts bare, all else as JSON.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => compact(other),
    }
}

enum Piece {
    Text(String),
    Action(String),
}

fn split(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        let body = &rest[open + 1..];
        let close = closing(body, '}').ok_or("unclosed action")?;
        pieces.push(Piece::Action(body[..close].trim().to_owned()));
        rest = &body[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Runs pieces from `at` to the `end` of this level; returns where it stopped.
fn run(pieces: &[Piece], mut at: usize, root: &Value, current: &Value, out: &mut String) -> Result<usize, String> {
    while let Some(piece) = pieces.get(at) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Action(action) if action == "end" => return Ok(at),
            Piece::Action(action) if action.starts_with("range") => {
                let items = evaluate(action["range".len()..].trim(), root, current)?;
                let mut end = skip(pieces, at + 1)?;
                for item in items {
                    end = run(pieces, at + 1, root, item, out)?;
                }
                at = end;
            }
            Piece::Action(action) if action.starts_with(['"', '\'']) => out.push_str(&unquoted(action)?),
            Piece::Action(action) => {
                let found: Vec<String> = evaluate(action, root, current)?.into_iter().map(show).collect();
                out.push_str(&found.join(" "));
            }
        }
        at += 1;
    }
    Ok(at)
}

fn skip(pieces: &[Piece], from: usize) -> Result<usize, String> {
    let mut depth = 0;
    for (i, piece) in pieces.iter().enumerate().skip(from) {
        match piece {
            Piece::Action(a) if a.starts_with("range") => depth += 1,
            Piece::Action(a) if a == "end" && depth == 0 => return Ok(i),
            Piece::Action(a) if a == "end" => depth -= 1,
            _ => {}
        }
    }
    Err("unterminated range".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::render;

    #[test]
    fn templates() {
        let root = json!({"items": [{"n": "a", "c": [{"t": "Ready", "s": "True"}]}, {"n": "b", "v": 2}], "l": {"a.b/c": "x"}});
        let show = |t: &str| render(t, &root).unwrap_or_else(|e| e);
        assert_eq!(show("{.items[*].n}"), "a b");
        assert_eq!(show("{range .items[*]}{.n}{\"\\n\"}{end}."), "a\nb\n.");
        assert_eq!(show("{.items[0].c[?(@.t==\"Ready\")].s}"), "True");
        assert_eq!(show("{.l.a\\.b/c}-{.items[-1].v}"), "x-2");
        assert_eq!(show("{..n}{.missing}"), "a b");
        assert_eq!(show("{.items[1]}"), "{\"n\":\"b\",\"v\":2}");
    }
}
