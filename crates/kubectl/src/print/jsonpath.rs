//! `-o jsonpath`: the templates of `k8s.io/client-go/util/jsonpath`.

use serde_json::Value;

use super::compact;

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

/// The values that one path (`.items[*].metadata.name`, braces optional) finds.
pub fn find<'v>(path: &str, root: &'v Value) -> Result<Vec<&'v Value>, String> {
    let path = path.strip_prefix('{').and_then(|p| p.strip_suffix('}')).unwrap_or(path);
    evaluate(path.trim(), root, root)
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

/// Where the bracket closes that is open at the start; brackets in quotes do not count.
fn closing(text: &str, close: char) -> Option<usize> {
    let (mut quote, mut depth, mut skip) = (None, 0, false);
    for (i, c) in text.char_indices() {
        if std::mem::take(&mut skip) {
            continue;
        }
        match (quote, c) {
            (Some(_), '\\') => skip = true,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c == close && depth == 0 => return Some(i),
            (None, '[' | '(' | '{') => depth += 1,
            (None, ']' | ')' | '}') => depth -= 1,
            _ => {}
        }
    }
    None
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

fn unquoted(text: &str) -> Result<String, String> {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => return Err("unterminated quoted string".to_owned()),
            },
            (c, false) => out.push(c),
        }
    }
    Ok(out)
}

fn evaluate<'v>(path: &str, root: &'v Value, current: &'v Value) -> Result<Vec<&'v Value>, String> {
    let (start, mut rest) = match path.chars().next() {
        Some('$') => (root, &path[1..]),
        Some('@') => (current, &path[1..]),
        _ => (current, path),
    };
    let mut found = vec![start];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            let (name, tail) = name(after);
            let mut all = Vec::new();
            found.iter().for_each(|v| descend(v, &name, &mut all));
            (found, rest) = (all, tail);
        } else if let Some(after) = rest.strip_prefix('[') {
            let close = closing(after, ']').ok_or("unterminated array")?;
            found = subscript(after[..close].trim(), root, found)?;
            rest = &after[close + 1..];
        } else {
            let (name, tail) = name(rest.strip_prefix('.').unwrap_or(rest));
            if !name.is_empty() {
                found = children(&name, found)?;
            } else if tail == rest {
                return Err(format!("unrecognized character in action: {rest}"));
            }
            rest = tail;
        }
    }
    Ok(found)
}

/// The name at the start of a path; a backslash takes the next character as it is.
fn name(path: &str) -> (String, &str) {
    let mut out = String::new();
    let mut escaped = false;
    for (i, c) in path.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => out.push(c),
            '\\' => escaped = true,
            '.' | '[' | ' ' | '}' => return (out, path[i..].trim_start()),
            c => out.push(c),
        }
    }
    (out, "")
}

fn children<'v>(name: &str, found: Vec<&'v Value>) -> Result<Vec<&'v Value>, String> {
    let mut out = Vec::new();
    for value in found {
        match (name, value) {
            ("*", Value::Array(list)) => out.extend(list),
            ("*", Value::Object(map)) => out.extend(map.values()),
            (name, Value::Object(map)) => out.extend(map.get(name)),
            _ => {}
        }
    }
    Ok(out)
}

fn descend<'v>(value: &'v Value, name: &str, out: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            if name.is_empty() || name == "*" {
                out.extend(map.values());
            } else {
                out.extend(map.get(name));
            }
            map.values().for_each(|v| descend(v, name, out));
        }
        Value::Array(list) => list.iter().for_each(|v| descend(v, name, out)),
        _ => {}
    }
}

fn subscript<'v>(inside: &str, root: &'v Value, found: Vec<&'v Value>) -> Result<Vec<&'v Value>, String> {
    if let Some(filter) = inside.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) {
        return filtered(filter.trim(), root, found);
    }
    let mut out = Vec::new();
    for part in inside.split(',').map(str::trim) {
        for value in &found {
            if part.starts_with(['"', '\'']) {
                out.extend(children(&unquoted(part)?, vec![value])?);
            } else if part == "*" {
                out.extend(children("*", vec![value])?);
            } else if let Value::Array(list) = value {
                out.extend(slice(part, list)?);
            }
        }
    }
    Ok(out)
}

fn slice<'v>(part: &str, list: &'v [Value]) -> Result<Vec<&'v Value>, String> {
    let length = list.len() as i64;
    let number = |text: &str, default: i64| match text.trim() {
        "" => Ok(default),
        text => text.parse::<i64>().map_err(|_| format!("invalid array index {part}")),
    };
    let place = |n: i64| if n < 0 { n + length } else { n };
    if !part.contains(':') {
        let at = place(number(part, 0)?);
        let found = usize::try_from(at).ok().and_then(|at| list.get(at));
        return found.map(|v| vec![v]).ok_or_else(|| format!("array index out of bounds: index {at}, length {length}"));
    }
    let mut bounds = part.split(':');
    let start = place(number(bounds.next().unwrap_or(""), 0)?).clamp(0, length);
    let end = place(number(bounds.next().unwrap_or(""), length)?).clamp(start, length);
    let step = number(bounds.next().unwrap_or(""), 1)?.max(1);
    Ok(list[start as usize..end as usize].iter().step_by(step as usize).collect())
}

fn filtered<'v>(filter: &str, root: &'v Value, found: Vec<&'v Value>) -> Result<Vec<&'v Value>, String> {
    let operator = ["==", "!=", "<=", ">=", "<", ">"].into_iter().find(|o| filter.contains(o));
    let mut out = Vec::new();
    for item in found.into_iter().filter_map(Value::as_array).flatten() {
        let fits = match operator {
            None => !evaluate(filter, root, item)?.is_empty(),
            Some(operator) => {
                let (left, right) = filter.split_once(operator).unwrap_or((filter, ""));
                match (operand(left.trim(), root, item)?, operand(right.trim(), root, item)?) {
                    (Some(left), Some(right)) => compare(operator, &left, &right),
                    _ => false,
                }
            }
        };
        if fits {
            out.push(item);
        }
    }
    Ok(out)
}

fn operand(text: &str, root: &Value, item: &Value) -> Result<Option<Value>, String> {
    if text.starts_with(['"', '\'']) {
        return Ok(Some(Value::from(unquoted(text)?)));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Ok(Some(value)),
        Err(_) => Ok(evaluate(text, root, item)?.first().map(|v| (*v).clone())),
    }
}

fn compare(operator: &str, left: &Value, right: &Value) -> bool {
    let order = match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => Some(show(left).cmp(&show(right))),
    };
    let Some(order) = order else { return false };
    match operator {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<=" => order.is_le(),
        ">=" => order.is_ge(),
        "<" => order.is_lt(),
        _ => order.is_gt(),
    }
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
