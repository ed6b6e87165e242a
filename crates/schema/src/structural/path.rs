//! Paths to fields of a schema, as selectable fields and rules have them (upstream: `ValidFieldPath`).

use std::sync::LazyLock;

use meta::field::Path;
use serde_json::Value;

use super::props::Props;

/// The schema of what nothing is known of.
static NOTHING: LazyLock<Props> = LazyLock::new(Props::new);

/// The path as errors show it, its first step, and the schema of what is there. `keys`: whether `['key']` is allowed.
pub fn field_path<'s>(text: &str, schema: &'s Props, keys: bool) -> Result<(String, String, &'s Props), String> {
    const NOWHERE: &str = "does not refer to a valid field";
    const END: &str = "unexpected end of JSON path";
    let (mut path, mut root, mut here) = (Path::default(), None, schema);
    let mut tokens = Tokens(text);
    while let Some(token) = tokens.next() {
        let name = match token {
            "." => tokens.next().ok_or(END)?.to_owned(),
            "[" if !keys => return Err("array notation is not allowed".to_owned()),
            "[" => {
                let quoted = tokens.next().ok_or(END)?;
                let inner = quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
                unescaped(inner.ok_or_else(|| format!("expected single quoted string but got {quoted}"))?)?
            }
            other => return Err(format!("expected [ or . but got: {other}")),
        };
        let properties = here.get("properties").and_then(Value::as_object).filter(|map| !map.is_empty());
        let (next, below) = match (properties, here.get("additionalProperties")) {
            (Some(properties), _) => (path.child(&name), properties.get(&name)),
            (None, Some(below)) => (path.key(&name), Some(below)),
            (None, None) => return Err(NOWHERE.to_owned()),
        };
        here = match below {
            Some(Value::Object(below)) => below,
            // Other fields are allowed, and nothing is known of them.
            Some(Value::Bool(_)) => &NOTHING,
            _ => return Err(NOWHERE.to_owned()),
        };
        root.get_or_insert(name);
        path = next;
        if token == "[" {
            let closing = tokens.next().ok_or(END)?;
            if closing != "]" {
                return Err(format!("expected ] but got {closing}"));
            }
        }
    }
    Ok((path.to_string(), root.unwrap_or_default(), here))
}

/// A text that stood in quotes.
fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        // A line does not end in an escape.
        let next = letters.as_str().chars().next().filter(|next| letter == '\\' && *next != '\n');
        let Some(next) = next else {
            out.push(letter);
            continue;
        };
        letters.next();
        out.push(match next {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\'' | '\\' => next,
            other => return Err(format!("invalid string literal: invalid escape char \\{other}")),
        });
    }
    Ok(out)
}

/// Dots and brackets, and what is between them; a text in quotes is one.
struct Tokens<'t>(&'t str);

impl<'t> Iterator for Tokens<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let bytes = self.0.as_bytes();
        let end = match bytes.first()? {
            b'.' | b'[' | b']' => 1,
            b'\'' => {
                let end = (1..bytes.len()).find(|at| bytes[*at] == b'\'' && bytes[at - 1] != b'\\');
                end.map_or(bytes.len(), |at| at + 1)
            }
            _ => bytes.iter().position(|b| matches!(b, b'.' | b'[' | b']')).unwrap_or(bytes.len()),
        };
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(token)
    }
}
