//! YAML as `sigs.k8s.io/yaml` writes it: keys in natural order, lists not indented under their key,
//! plain text where it reads back as text, long text folded after column 80.

mod text;

use std::cmp::Ordering;

use serde_json::Value;

use self::text::text;

/// The document of a value, with a line break at its end.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, value, 0),
        Value::Array(list) if !list.is_empty() => sequence(&mut out, list, 0),
        other => scalar(&mut out, other, 0),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn mapping(out: &mut String, value: &Value, indent: usize) {
    let Value::Object(map) = value else { return };
    for (i, key) in sorted(map.keys().collect()).into_iter().enumerate() {
        if i > 0 {
            out.push_str(&" ".repeat(indent));
        }
        text(out, key, indent, true);
        out.push(':');
        match &map[key] {
            Value::Object(inner) if !inner.is_empty() => {
                out.push_str(&format!("\n{}", " ".repeat(indent + 2)));
                mapping(out, &map[key], indent + 2);
            }
            Value::Array(list) if !list.is_empty() => {
                out.push_str(&format!("\n{}", " ".repeat(indent)));
                sequence(out, list, indent);
            }
            other => {
                out.push(' ');
                scalar(out, other, indent + 2);
                end_line(out);
            }
        }
    }
}

fn sequence(out: &mut String, list: &[Value], indent: usize) {
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(out, item, indent + 2),
            Value::Array(inner) if !inner.is_empty() => sequence(out, inner, indent + 2),
            other => {
                scalar(out, other, indent + 2);
                end_line(out);
            }
        }
    }
}

fn end_line(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

fn scalar(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(s) => text(out, s, indent, false),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// Keys in their order. The order is not a total one, which the standard library's sort would not forgive.
fn sorted(mut keys: Vec<&String>) -> Vec<&String> {
    if keys.len() < 2 {
        return keys;
    }
    let right = sorted(keys.split_off(keys.len() / 2));
    let (mut left, mut right) = (sorted(keys).into_iter().peekable(), right.into_iter().peekable());
    let mut out = Vec::new();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        out.extend(if natural(b, a) == Ordering::Less { right.next() } else { left.next() });
    }
    out.extend(left.chain(right));
    out
}

/// The order of keys in goyaml: letters after other characters (but before them behind a digit), runs of digits by
/// their number.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (Some(x), Some(y)) = (a.get(common), b.get(common)) else { return a.len().cmp(&b.len()) };
    let digits = common > 0 && a[common - 1].is_numeric();
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(y),
        (true, false) => return if digits { Ordering::Less } else { Ordering::Greater },
        (false, true) => return if digits { Ordering::Greater } else { Ordering::Less },
        (false, false) => {}
    }
    // A zero counts as one of a longer number when the number has begun.
    let begun = a[..common].iter().rev().take_while(|c| c.is_numeric()).any(|c| *c != '0');
    let start = u128::from(begun && (*x == '0' || *y == '0'));
    let run = |s: &[char]| -> (u128, usize) {
        let digits = s[common..].iter().map_while(|c| c.to_digit(10)).take(30);
        digits.fold((start, 0), |(number, length), digit| (number * 10 + u128::from(digit), length + 1))
    };
    run(&a).cmp(&run(&b)).then(x.cmp(y))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::yaml;

    #[test]
    fn keys_are_in_goyamls_order() {
        let mut map = serde_json::Map::new();
        for key in ["b1", "k:1000", "k:53", "a1b", "a1-", "a10", "a9", "a-", "ab", "a100", "a1000"] {
            map.insert(key.to_owned(), 1.into());
        }
        let text = yaml(&map.into());
        let keys: Vec<&str> = text.lines().map(|line| line.trim_end_matches(": 1").trim_matches(['"', '\''])).collect();
        assert_eq!(keys, ["a-", "a1b", "a1-", "a9", "a10", "a100", "a1000", "ab", "b1", "k:53", "k:1000"]);
    }

    #[test]
    fn texts_are_quoted_where_goyaml_quotes_them() {
        let value = json!({
            "b": ["x", {"y": 1, "a": []}], "a10": "true", "a9": "1.5", "colon": "a: b", "empty": "", "quote": "'q",
            "time": "2024-01-02T03:04:05Z", "lines": "x\ny\n", "plain": "nginx:1.25", "null": null, "star": "*",
        });
        let expected = "a9: \"1.5\"\na10: \"true\"\nb:\n- x\n- a: []\n  \"y\": 1\ncolon: 'a: b'\nempty: \"\"\nlines: |\n  x\n  y\n\
            \"null\": null\nplain: nginx:1.25\nquote: '''q'\nstar: '*'\ntime: \"2024-01-02T03:04:05Z\"\n";
        assert_eq!(yaml(&value), expected);
    }
}
