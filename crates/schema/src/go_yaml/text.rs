//! Texts in YAML: which form reads back as the same text, and how long ones are folded.

/// Columns before a text is folded.
const WIDTH: usize = 80;

/// What the emitter may use for a text.
struct Allowed {
    plain: bool,
    single: bool,
    block: bool,
}

/// Writes a text plain, quoted or as a block, whichever comes first of those that read back as it. `indent` is that of
/// its continuation lines; a key stays on one line.
pub(super) fn text(out: &mut String, s: &str, indent: usize, key: bool) {
    let allowed = allowed(s);
    let multiline = s.contains('\n');
    if multiline && !key && allowed.block {
        return literal(out, s, indent);
    }
    if !multiline && !reads_as_other(s) {
        if allowed.plain {
            return folded(out, s, indent, key, false);
        }
        if allowed.single {
            return folded(out, s, indent, key, true);
        }
    }
    double(out, s, indent, key);
}

fn allowed(s: &str) -> Allowed {
    if s.is_empty() {
        return Allowed { plain: true, single: true, block: false };
    }
    let chars: Vec<char> = s.chars().collect();
    let mut block_indicator = s.starts_with("---") || s.starts_with("...");
    let (mut special, mut space_break, mut break_space) = (false, false, false);
    let (mut previous_space, mut previous_break) = (false, false);
    let blank = |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    for (i, c) in chars.iter().enumerate() {
        let next_blank = blank(chars.get(i + 1));
        block_indicator |= match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if i == 0 => {
                true
            }
            '?' | '-' if i == 0 => next_blank,
            ':' => next_blank,
            '#' => i > 0 && blank(chars.get(i - 1)),
            _ => false,
        };
        special |= !printable(*c);
        space_break |= *c == '\n' && previous_space;
        break_space |= *c == ' ' && previous_break;
        previous_space = *c == ' ';
        previous_break = *c == '\n';
    }
    let edge = |c: Option<&char>| matches!(c, Some(' ' | '\n'));
    let trailing_space = chars.last() == Some(&' ');
    let refused = space_break || special;
    Allowed {
        plain: !(block_indicator || refused || break_space || edge(chars.first()) || edge(chars.last())),
        single: !(refused || break_space),
        block: !(refused || trailing_space),
    }
}

fn printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// Whether YAML 1.1 would read a plain text as null, a boolean, a number, a time or a merge key.
fn reads_as_other(s: &str) -> bool {
    const WORDS: [&str; 12] = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<"];
    let cased = |w: &str| {
        let mut title = w.to_owned();
        title.get_mut(..1).map(str::make_ascii_uppercase);
        s == w || s == w.to_uppercase() || s == title
    };
    WORDS.iter().any(|w| cased(w)) || number(s) || time(s)
}

fn number(s: &str) -> bool {
    let plain: String = s.chars().filter(|c| *c != '_').collect();
    let body = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let starts = |c: char| c.is_ascii_digit() || c == '.' || c == '-' || c == '+';
    if !s.starts_with(starts) {
        return false;
    }
    if matches!(body, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let radix = |prefix: &str, radix| {
        body.strip_prefix(prefix).is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_digit(radix)))
    };
    let base_60 = || {
        let mut parts = body.split(':');
        parts.next().is_some_and(|p| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit()))
            && body.contains(':')
            && parts.all(|p| {
                let whole = p.split('.').next().unwrap_or("");
                !whole.is_empty() && whole.len() <= 2 && p.chars().all(|c| c.is_ascii_digit() || c == '.')
            })
    };
    radix("0x", 16) || radix("0b", 2) || radix("0o", 8) || float(body) || base_60()
}

fn float(body: &str) -> bool {
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let dots = mantissa.chars().filter(|c| *c == '.').count();
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && e.chars().all(|c| c.is_ascii_digit())
    });
    digits > 0 && dots <= 1 && digits + dots == mantissa.len() && exponent_fits
}

/// `2006-1-2`, with or without a time of day.
fn time(s: &str) -> bool {
    let date = s.split(['T', 't', ' ']).next().unwrap_or("");
    let parts: Vec<&str> = date.split('-').collect();
    let is_date = parts.len() == 3
        && parts[0].len() == 4
        && parts.iter().all(|p| !p.is_empty() && p.len() <= 4 && p.chars().all(|c| c.is_ascii_digit()))
        && parts[1].parse::<u8>().is_ok_and(|m| (1..=12).contains(&m))
        && parts[2].parse::<u8>().is_ok_and(|d| (1..=31).contains(&d));
    if !is_date {
        return false;
    }
    let rest = &s[date.len()..];
    rest.is_empty()
        || rest.len() > 5 && rest[1..].chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.' | 'Z' | '+' | '-'))
}

fn column(out: &str) -> usize {
    out.rsplit('\n').next().map_or(0, |line| line.chars().count())
}

/// Plain or single quoted text; a single space after column 80 becomes a line break.
fn folded(out: &mut String, s: &str, indent: usize, key: bool, quoted: bool) {
    let chars: Vec<char> = s.chars().collect();
    if quoted {
        out.push('\'');
    }
    let mut at = column(out);
    let mut spaces = false;
    for (i, c) in chars.iter().enumerate() {
        let inner = !quoted || i > 0 && i + 1 < chars.len();
        if *c == ' ' && !key && !spaces && at > WIDTH && inner && chars.get(i + 1).is_some_and(|c| *c != ' ') {
            out.push_str(&format!("\n{}", " ".repeat(indent)));
            at = indent;
        } else {
            out.push(*c);
            at += 1;
            if quoted && *c == '\'' {
                out.push('\'');
                at += 1;
            }
        }
        spaces = *c == ' ';
    }
    if quoted {
        out.push('\'');
    }
}

fn double(out: &mut String, s: &str, indent: usize, key: bool) {
    let chars: Vec<char> = s.chars().collect();
    out.push('"');
    let mut spaces = false;
    for (i, c) in chars.iter().enumerate() {
        if *c == ' ' && !key && !spaces && column(out) > WIDTH && i > 0 && i + 1 < chars.len() {
            out.push_str(&format!("\n{}", " ".repeat(indent)));
            if chars[i + 1] == ' ' {
                out.push('\\');
            }
            spaces = true;
            continue;
        }
        spaces = *c == ' ';
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            c if printable(*c) => out.push(*c),
            c if (*c as u32) < 0x100 => out.push_str(&format!("\\x{:02X}", *c as u32)),
            c if (*c as u32) < 0x10000 => out.push_str(&format!("\\u{:04X}", *c as u32)),
            c => out.push_str(&format!("\\U{:08X}", *c as u32)),
        }
    }
    out.push('"');
}

fn literal(out: &mut String, s: &str, indent: usize) {
    out.push('|');
    if s.starts_with([' ', '\n']) {
        out.push('2');
    }
    if !s.ends_with('\n') {
        out.push('-');
    } else if s.ends_with("\n\n") || s == "\n" {
        out.push('+');
    }
    out.push('\n');
    for line in s.strip_suffix('\n').unwrap_or(s).split('\n') {
        if !line.is_empty() {
            out.push_str(&format!("{}{line}", " ".repeat(indent)));
        }
        out.push('\n');
    }
}
