//! Texts: parts, places, cuts (upstream: cel-go `ext/strings.go`, version 2). Places count characters.

use super::{Library, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Outcome, Value};

pub(super) const LIBRARY: Library = Library {
    name: "cel.lib.ext.strings",
    types: &[],
    rows: &[
        method("charAt", "string_char_at_int", "string, int", "string", Cost::One, char_at),
        method("indexOf", "string_index_of_string", "string, string", "int", Cost::Traverse, index_of),
        method("indexOf", "string_index_of_string_int", "string, string, int", "int", Cost::Traverse, index_of),
        method("lastIndexOf", "string_last_index_of_string", "string, string", "int", Cost::Traverse, last_index_of),
        method("lastIndexOf", "string_last_index_of_string_int", "string, string, int", "int", Cost::Traverse, last_index_of),
        method("lowerAscii", "string_lower_ascii", "string", "string", Cost::Copied, lower),
        method("replace", "string_replace_string_string", "string, string, string", "string", Cost::Replace, replace),
        method("replace", "string_replace_string_string_int", "string, string, string, int", "string", Cost::Replace, replace),
        method("split", "string_split_string", "string, string", "list(string)", Cost::Split, split),
        method("split", "string_split_string_int", "string, string, int", "list(string)", Cost::Split, split),
        method("substring", "string_substring_int", "string, int", "string", Cost::Copied, substring),
        method("substring", "string_substring_int_int", "string, int, int", "string", Cost::Copied, substring),
        method("trim", "string_trim", "string", "string", Cost::Copied, trim),
        method("upperAscii", "string_upper_ascii", "string", "string", Cost::Copied, upper),
        function("strings.quote", "strings_quote", "string", "string", Cost::Quote, quote),
        method("join", "list_join", "list(string)", "string", Cost::Join, join),
        method("join", "list_join_string", "list(string), string", "string", Cost::Join, join),
    ],
};

fn out_of_range<T>(index: i64) -> Result<T, Error> {
    Err(Error::made(format!("index out of range: {index}")))
}

/// The byte at which a character begins; the place behind the last one is right, too.
fn byte(text: &str, index: i64) -> Option<usize> {
    let index = usize::try_from(index).ok()?;
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(index)
}

fn char_at<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::Int(index)] = args else { return mismatch() };
    let Some(at) = byte(text, *index) else { return out_of_range(*index) };
    Ok(Value::text(text[at..].chars().next().map(String::from).unwrap_or_default()))
}

fn int<'a>(place: Option<usize>) -> Outcome<'a> {
    Ok(Value::Int(place.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1)))
}

fn index_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, part, from) = match args {
        [Value::String(text), Value::String(part)] => (text, part, 0),
        [Value::String(text), Value::String(part), Value::Int(from)] => (text, part, *from),
        _ => return mismatch(),
    };
    if part.is_empty() {
        return Ok(Value::Int(from));
    }
    if from < 0 {
        return out_of_range(from);
    }
    let Some(start) = byte(text, from) else { return Ok(Value::Int(-1)) };
    let found = text[start..].find(&**part).map(|at| text[..start + at].chars().count());
    int(found)
}

fn last_index_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, part, until) = match args {
        [Value::String(text), Value::String(part)] => (text, part, None),
        [Value::String(text), Value::String(part), Value::Int(until)] => (text, part, Some(*until)),
        _ => return mismatch(),
    };
    let length = text.chars().count();
    let count = i64::try_from(length).unwrap_or(i64::MAX);
    if part.is_empty() {
        return Ok(Value::Int(until.unwrap_or(count)));
    }
    let until = match until {
        Some(until) if until < 0 => return out_of_range(until),
        Some(until) if until >= count => return Ok(Value::Int(-1)),
        Some(until) => until,
        None if text.len() < part.len() => return Ok(Value::Int(-1)),
        None => count - 1,
    };
    // What begins at or before the place may end behind it.
    let Some(last) = byte(text, until) else { return Ok(Value::Int(-1)) };
    let end = text.len().min(last + part.len());
    let end = (end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let found = text[..end].rmatch_indices(&**part).map(|(at, _)| at).find(|at| *at <= last);
    int(found.map(|at| text[..at].chars().count()))
}

fn one<'s>(args: &'s [Value<'_>]) -> Result<&'s str, Error> {
    match args {
        [Value::String(text)] => Ok(text),
        _ => mismatch(),
    }
}

fn lower<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    one(args).map(|text| Value::text(text.to_ascii_lowercase()))
}

fn upper<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    one(args).map(|text| Value::text(text.to_ascii_uppercase()))
}

fn trim<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    one(args).map(|text| Value::text(text.trim()))
}

fn replace<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text), Value::String(old), Value::String(new)] => Ok(Value::text(text.replace(&**old, new))),
        [Value::String(text), Value::String(old), Value::String(new), Value::Int(most)] => {
            Ok(Value::text(match usize::try_from(*most) {
                Ok(most) => text.replacen(&**old, new, most),
                Err(_) => text.replace(&**old, new),
            }))
        }
        _ => mismatch(),
    }
}

fn split<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, between, most) = match args {
        [Value::String(text), Value::String(between)] => (text, between, usize::MAX),
        [Value::String(text), Value::String(between), Value::Int(most)] => {
            (text, between, usize::try_from(*most).unwrap_or(usize::MAX))
        }
        _ => return mismatch(),
    };
    if most == 0 {
        return Ok(Value::list(Vec::new()));
    }
    let parts: Vec<Value<'a>> = if between.is_empty() {
        // Each character by itself, the rest as one.
        let mut parts = Vec::new();
        let mut rest: &str = text;
        while let Some(c) = rest.chars().next() {
            if parts.len() + 1 == most {
                parts.push(Value::text(rest));
                break;
            }
            let (first, behind) = rest.split_at(c.len_utf8());
            parts.push(Value::text(first));
            rest = behind;
        }
        parts
    } else {
        text.splitn(most, &**between).map(Value::text).collect()
    };
    Ok(Value::list(parts))
}

fn substring<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, start, end) = match args {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return mismatch(),
    };
    if let Some(end) = end
        && start > end
    {
        return Err(Error::made(format!("invalid substring range. start: {start}, end: {end}")));
    }
    let Some(from) = byte(text, start) else { return out_of_range(start) };
    let to = match end {
        None => text.len(),
        Some(end) => match byte(text, end) {
            Some(to) => to,
            None => return out_of_range(end),
        },
    };
    Ok(Value::text(&text[from..to]))
}

fn quote<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let text = one(args)?;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' | '"' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(Value::text(out))
}

fn join<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (list, between) = match args {
        [Value::List(list)] => (list, ""),
        [Value::List(list), Value::String(between)] => (list, &**between),
        _ => return mismatch(),
    };
    let mut out = String::new();
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        match item {
            Value::String(text) => out.push_str(&text),
            other => return Err(Error::made(format!("join: invalid input: {}", other.shown()))),
        }
    }
    Ok(Value::text(out))
}
