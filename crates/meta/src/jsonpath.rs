//! Paths into JSON in the dialect of `k8s.io/client-go/util/jsonpath`: fields, lists, slices, filters. Templates around
//! them are kubectl's matter.

use serde_json::Value;

/// The values that one path (`.items[*].metadata.name`, braces optional) finds.
pub fn find<'v>(path: &str, root: &'v Value) -> Result<Vec<&'v Value>, String> {
    let path = path.strip_prefix('{').and_then(|p| p.strip_suffix('}')).unwrap_or(path);
    evaluate(path.trim(), root, root)
}

/// Where the bracket closes that is open at the start; brackets in quotes do not count.
pub fn closing(text: &str, close: char) -> Option<usize> {
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

/// A text in quotes, without them.
pub fn unquoted(text: &str) -> Result<String, String> {
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

/// The values that a path finds; `current` is what it begins at unless it says `$`.
pub fn evaluate<'v>(path: &str, root: &'v Value, current: &'v Value) -> Result<Vec<&'v Value>, String> {
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

/// A text as it is, all else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn compare(operator: &str, left: &Value, right: &Value) -> bool {
    let order = match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => Some(text(left).cmp(&text(right))),
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

    use super::find;

    #[test]
    fn paths_find_what_they_name() {
        let root = json!({"items": [{"n": "a", "c": [{"t": "Ready", "s": "True"}]}, {"n": "b"}], "l": {"a.b/c": "x"}});
        let found = |path: &str| find(path, &root).map(|all| all.into_iter().cloned().collect::<Vec<_>>());
        assert_eq!(found(".items[*].n"), Ok(vec![json!("a"), json!("b")]));
        assert_eq!(found(r#".items[0].c[?(@.t=="Ready")].s"#), Ok(vec![json!("True")]));
        assert_eq!(found(r".l.a\.b/c"), Ok(vec![json!("x")]));
        assert_eq!(found(".missing.more"), Ok(vec![]));
        assert!(found(".items[7]").is_err_and(|why| why.contains("out of bounds")));
    }
}
