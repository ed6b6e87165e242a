//! Words of an expression (upstream: cel-go `parser/gen/CEL.g4`).

use crate::source::Issues;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// An operator, a bracket, `in`, `true`, `false`, `null`.
    Sign(&'static str),
    /// `1`, `0x1f`
    Int,
    /// `1u`
    Uint,
    /// `1.0`
    Float,
    /// `'text'`
    String,
    /// `b'text'`
    Bytes,
    /// A name.
    Ident,
    /// A name in backquotes.
    Escaped,
    /// Nothing more.
    End,
}

/// A word and where it is, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// What it is.
    pub token: Token,
    /// Its first byte.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
}

/// Longer ones first.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":", "+", "*", "/", "%",
];
const KEYWORDS: &[&str] = &["in", "true", "false", "null"];

/// All words; what is none is reported and left out.
pub fn words(text: &str, issues: &mut Issues) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let skipped = blank(rest);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        match word(rest) {
            Ok((token, length)) => {
                words.push(Word { token, start: at, end: at + length });
                at += length;
            }
            Err(length) => {
                issues.at(at, format!("Syntax error: token recognition error at: '{}'", shown(&rest[..length])));
                at += length;
            }
        }
    }
    words.push(Word { token: Token::End, start: text.len(), end: text.len() });
    words
}

fn shown(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

fn blank(rest: &str) -> usize {
    let spaces = rest.len() - rest.trim_start_matches(['\t', ' ', '\r', '\n', '\u{c}']).len();
    if spaces > 0 {
        return spaces;
    }
    if rest.starts_with("//") { rest.find('\n').unwrap_or(rest.len()) } else { 0 }
}

/// The word that a text begins with and its length, or the length of what is none.
fn word(rest: &str) -> Result<(Token, usize), usize> {
    let bytes = rest.as_bytes();
    let first = bytes[0];
    if let Some(result) = string(rest) {
        return result;
    }
    if first.is_ascii_digit() || (first == b'.' && bytes.get(1).is_some_and(u8::is_ascii_digit)) {
        return Ok(number(bytes));
    }
    if first.is_ascii_alphabetic() || first == b'_' {
        let length = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let keyword = KEYWORDS.iter().find(|keyword| **keyword == &rest[..length]);
        return Ok((keyword.map_or(Token::Ident, |keyword| Token::Sign(keyword)), length));
    }
    if first == b'`' {
        let inner = bytes[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || b"_.-/ ".contains(b)).count();
        return match bytes.get(inner + 1) {
            Some(b'`') if inner > 0 => Ok((Token::Escaped, inner + 2)),
            _ => Err(failed(rest, inner + 1)),
        };
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err(failed(rest, if matches!(first, b'&' | b'|' | b'=') { 1 } else { 0 })),
    }
}

/// What has been read of a word that is none, and the character at which that is seen.
fn failed(rest: &str, read: usize) -> usize {
    read + rest[read.min(rest.len())..].chars().next().map_or(0, char::len_utf8)
}

fn digits(bytes: &[u8], hex: bool) -> usize {
    bytes.iter().take_while(|b| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() }).count()
}

fn number(bytes: &[u8]) -> (Token, usize) {
    let unsigned = |at: usize, token| match bytes.get(at) {
        Some(b'u' | b'U') => (Token::Uint, at + 1),
        _ => (token, at),
    };
    if bytes.starts_with(b"0x") {
        let hex = digits(&bytes[2..], true);
        if hex > 0 {
            return unsigned(2 + hex, Token::Int);
        }
    }
    let whole = digits(bytes, false);
    let mut end = whole;
    let mut token = Token::Int;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(&bytes[end + 1..], false);
        if fraction > 0 {
            end += 1 + fraction;
            token = Token::Float;
        }
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(bytes.get(end + 1 + sign..).unwrap_or(&[]), false);
        if exponent > 0 {
            return (Token::Float, end + 1 + sign + exponent);
        }
    }
    if token == Token::Int { unsigned(end, Token::Int) } else { (token, end) }
}

/// A string or bytes, if the text begins with one.
fn string(rest: &str) -> Option<Result<(Token, usize), usize>> {
    let bytes = rest.as_bytes();
    let is_bytes = matches!(bytes[0], b'b' | b'B');
    let mut at = usize::from(is_bytes);
    let raw = matches!(bytes.get(at), Some(b'r' | b'R'));
    at += usize::from(raw);
    let quote = *bytes.get(at).filter(|b| matches!(b, b'"' | b'\''))?;
    let token = if is_bytes { Token::Bytes } else { Token::String };
    let triple = [quote; 3];
    if bytes[at..].starts_with(&triple)
        && let Ok(end) = scan(rest, at + 3, &triple, raw)
    {
        return Some(Ok((token, end)));
    }
    // Without an end of three, the first two are an empty string.
    match scan(rest, at + 1, &[quote], raw) {
        Ok(end) => Some(Ok((token, end))),
        Err(_) if bytes[at..].starts_with(&triple) => Some(Ok((token, at + 2))),
        // The letters before the quote are a name then.
        Err(_) if at > 0 => None,
        Err(end) => Some(Err(end)),
    }
}

/// The end behind the closing quotes, or how far it looked like a string.
fn scan(rest: &str, mut at: usize, close: &[u8], raw: bool) -> Result<usize, usize> {
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        if bytes[at..].starts_with(close) {
            return Ok(at + close.len());
        }
        if close.len() == 1 && matches!(bytes[at], b'\n' | b'\r') {
            return Err(at + 1);
        }
        if bytes[at] == b'\\' && !raw {
            match escape(&bytes[at + 1..]) {
                Ok(length) => at += 1 + length,
                Err(read) => return Err(failed(rest, (at + 1 + read).min(rest.len()))),
            }
            continue;
        }
        at += rest[at..].chars().next().map_or(1, char::len_utf8);
    }
    Err(rest.len())
}

/// The length of an escape behind its backslash, or how much of it was right.
fn escape(bytes: &[u8]) -> Result<usize, usize> {
    let (from, count, of): (usize, usize, fn(&u8) -> bool) = match bytes.first() {
        Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`') => return Ok(1),
        Some(b'x' | b'X') => (1, 2, u8::is_ascii_hexdigit),
        Some(b'u') => (1, 4, u8::is_ascii_hexdigit),
        Some(b'U') => (1, 8, u8::is_ascii_hexdigit),
        Some(b'0'..=b'3') => (1, 2, |b| matches!(b, b'0'..=b'7')),
        _ => return Err(0),
    };
    let right = bytes[from..].iter().take(count).take_while(|b| of(b)).count();
    if right == count { Ok(from + count) } else { Err(from + right) }
}
