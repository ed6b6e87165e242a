//! Patterns as Go's `regexp` reads them (RE2): classes of letters and digits are of ASCII, brackets do not nest.

use regex::{Regex, RegexBuilder};

use crate::limits;

/// A pattern; the error is in upstream's words as far as the reason is a common one.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let refused = |why: String| format!("error parsing regexp: {why}");
    let translated = translate(pattern).map_err(refused)?;
    let built = RegexBuilder::new(&translated).size_limit(limits::REGEX).nest_limit(1000).build();
    built.map_err(|error| refused(reason(pattern, &error)))
}

fn reason(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let has = |words: &str| last.contains(words);
    match () {
        () if has("unclosed group") => format!("missing closing ): `{pattern}`"),
        () if has("unopened group") => format!("unexpected ): `{pattern}`"),
        () if has("unclosed character class") => {
            format!("missing closing ]: `{}`", pattern.rfind('[').map_or(pattern, |at| &pattern[at..]))
        }
        () if has("repetition operator missing expression") => {
            let operator = pattern.chars().find(|c| "*+?".contains(*c)).unwrap_or('*');
            format!("missing argument to repetition operator: `{operator}`")
        }
        () if has("invalid character class range") => {
            let all: Vec<char> = pattern.chars().collect();
            let backwards = all.windows(3).find(|range| range[1] == '-' && range[0] > range[2]);
            format!("invalid character class range: `{}`", backwards.unwrap_or(&all[..]).iter().collect::<String>())
        }
        () if has("duplicate capture group name") => "duplicate capture group name".to_owned(),
        () if has("look-around") => "invalid or unsupported Perl syntax: `(?`".to_owned(),
        () => format!("invalid pattern: `{pattern}`"),
    }
}

/// In the words of the crate `regex`.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    // Where a class begins, a bracket behind it is one of its characters.
    let mut class = false;
    // Where a repetition that was read last begins.
    let mut repeated: Option<usize> = None;
    while let Some(c) = rest.chars().next() {
        let at = pattern.len() - rest.len();
        rest = &rest[c.len_utf8()..];
        let repeats = !class && (matches!(c, '*' | '+' | '?') && !out.ends_with('(') || c == '{' && is_repetition(c, rest, &out));
        if let Some(from) = repeated.filter(|_| repeats) {
            let end = pattern.len() - rest.len() + if c == '{' { rest.find('}').map_or(0, |end| end + 1) } else { 0 };
            return Err(format!("invalid nested repetition operator: `{}`", &pattern[from..end]));
        }
        if repeats {
            // One that takes as little as it can.
            let end = if c == '{' { rest.find('}').map_or(0, |end| end + 1) } else { 0 };
            let lazy = usize::from(rest[end..].starts_with('?'));
            out.push(c);
            out.push_str(&rest[..end + lazy]);
            rest = &rest[end + lazy..];
            repeated = Some(at);
            continue;
        }
        repeated = None;
        match c {
            '\\' => rest = escape(rest, class, &mut out)?,
            '[' if class && rest.starts_with(':') => out.push('['),
            '[' if class => out.push_str("\\["),
            ':' if class && rest.starts_with(']') && in_named(&out) => {
                out.push_str(":]");
                rest = &rest[1..];
            }
            '[' => {
                class = true;
                out.push('[');
                if let Some(behind) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = behind;
                }
                if let Some(behind) = rest.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = behind;
                }
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            // Operations on classes, which Go has not.
            '&' | '~' if class => out.extend(['\\', c]),
            '-' if class && rest.starts_with('-') => out.push_str("\\-"),
            '{' | '}' if !class && !is_repetition(c, rest, &out) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn in_named(out: &str) -> bool {
    out.rfind("[:").is_some_and(|at| !out[at..].contains(']'))
}

/// Whether a brace is one of a repetition: `{1}`, `{1,}`, `{1,2}`. All others are characters.
fn is_repetition(c: char, rest: &str, out: &str) -> bool {
    let counts = |inner: &str| {
        let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
        !low.is_empty() && [low, high].iter().all(|n| n.bytes().all(|b| b.is_ascii_digit()))
    };
    match c {
        '{' => rest.split_once('}').is_some_and(|(inner, _)| counts(inner)),
        _ => out.rfind('{').is_some_and(|at| !out[..at].ends_with('\\') && counts(&out[at + 1..])),
    }
}

fn escape<'t>(rest: &'t str, class: bool, out: &mut String) -> Result<&'t str, String> {
    let Some(c) = rest.chars().next() else { return Err("trailing backslash at end of expression: ``".to_owned()) };
    let behind = &rest[c.len_utf8()..];
    let (inside, outside) = match c {
        'd' => ("0-9", "[0-9]"),
        'w' => ("0-9A-Za-z_", "[0-9A-Za-z_]"),
        's' => ("\\t\\n\\f\\r ", "[\\t\\n\\f\\r ]"),
        'D' => ("[^0-9]", "[^0-9]"),
        'W' => ("[^0-9A-Za-z_]", "[^0-9A-Za-z_]"),
        'S' => ("[^\\t\\n\\f\\r ]", "[^\\t\\n\\f\\r ]"),
        'b' if !class => ("", "(?-u:\\b)"),
        'B' if !class => ("", "(?-u:\\B)"),
        'Q' if !class => {
            let (quoted, behind) = behind.split_once("\\E").unwrap_or((behind, ""));
            out.push_str(&regex::escape(quoted));
            return Ok(behind);
        }
        'A' | 'z' if !class => {
            out.extend(['\\', c]);
            return Ok(behind);
        }
        'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' | 'p' | 'P' => {
            out.extend(['\\', c]);
            // Names of classes stand in braces, which are no repetition.
            if let Some((name, behind)) = behind.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                out.push_str(&format!("{{{name}}}"));
                return Ok(behind);
            }
            return Ok(behind);
        }
        '0'..='7' => {
            let digits = rest.bytes().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
            if c != '0' && digits == 1 {
                return Err(format!("invalid escape sequence: `\\{c}`"));
            }
            let code = u32::from_str_radix(&rest[..digits], 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{code:x}}}"));
            return Ok(&rest[digits..]);
        }
        c if c.is_ascii_punctuation() => {
            out.extend(['\\', c]);
            // Some are words of their own to the crate.
            if matches!(c, '<' | '>' | '\'' | '"' | '/' | '!' | '=' | ',' | ':' | ';' | '@' | '%' | '`' | '_') {
                out.truncate(out.len() - 2);
                out.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
            }
            return Ok(behind);
        }
        c => return Err(format!("invalid escape sequence: `\\{c}`")),
    };
    out.push_str(if class { inside } else { outside });
    Ok(behind)
}
