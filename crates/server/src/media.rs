//! Media types as Go's `mime.ParseMediaType` reads them.

/// The type in small letters. `None` if it, or a parameter, is broken.
pub fn parse(text: &str) -> Option<String> {
    let (base, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    let media = base.trim().to_lowercase();
    let good = match media.split_once('/') {
        Some((kind, sub)) => is_token(kind) && is_token(sub),
        None => is_token(&media),
    };
    if !good {
        return None;
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    while !rest.trim_start().is_empty() {
        let Some((name, value, behind)) = parameter(rest) else {
            return (rest.trim() == ";").then_some(media);
        };
        match seen.iter().find(|(known, _)| *known == name) {
            Some((_, earlier)) if *earlier != value => return None,
            Some(_) => {}
            None => seen.push((name, value)),
        }
        rest = behind;
    }
    Some(media)
}

/// Name, value, and what comes after them.
fn parameter(text: &str) -> Option<(String, String, &str)> {
    let text = text.trim_start().strip_prefix(';')?.trim_start();
    let (name, rest) = token(text);
    let rest = rest.trim_start().strip_prefix('=').filter(|_| !name.is_empty())?.trim_start();
    let (value, behind) = match rest.starts_with('"') {
        true => quoted(rest)?,
        false => (token(rest).0.to_owned(), token(rest).1),
    };
    (!value.is_empty() || behind.len() != rest.len()).then(|| (name.to_lowercase(), value, behind))
}

fn token(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(text.len()))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut left = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = left.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match left.next_if(|(_, next)| next.is_ascii() && SPECIAL.contains(*next)) {
                Some((_, next)) => value.push(next),
                None => value.push('\\'),
            },
            '\r' | '\n' => return None,
            c => value.push(c),
        }
    }
    None
}

/// Characters that stand in no token (RFC 1521).
const SPECIAL: &str = "()<>@,;:\\\"/[]?=";

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !SPECIAL.contains(char::from(byte))
}
