//! JSON tokens, with the wording of Go's `encoding/json` for syntax errors.

use meta::limits;
use serde_json::{Map, Number, Value};

use super::path::Path;

/// What is said of a document that is nested too deep.
pub const TOO_DEEP: &str = "exceeded max depth";

/// A syntax error in Go's words.
#[derive(Debug)]
pub struct Syntax(pub String);

/// A position in a document.
pub struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Maps and lists that are open here.
    depth: usize,
    /// The most of them: the walks are recursive.
    limit: usize,
}

pub(super) type Result<T> = std::result::Result<T, Syntax>;

impl<'a> Cursor<'a> {
    /// At the beginning of a document that may be nested `limit` deep.
    pub fn new(bytes: &'a [u8], limit: usize) -> Self {
        Cursor { bytes, at: 0, depth: 0, limit }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is no space; it is not consumed.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(b) = self.bytes.get(self.at) {
            if !matches!(b, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*b);
            }
            self.at += 1;
        }
        None
    }

    /// The error for an unexpected byte here.
    pub fn unexpected<T>(&self, context: &str) -> Result<T> {
        Err(match self.bytes.get(self.at) {
            None => Syntax("unexpected end of JSON input".to_owned()),
            Some(b) => Syntax(format!("invalid character {} {context}", quoted(*b))),
        })
    }

    /// Nothing but space may follow.
    pub fn end(&mut self) -> Result<()> {
        if self.peek().is_some() { self.unexpected("after top-level value") } else { Ok(()) }
    }

    /// Consumes `{` or `[`.
    pub fn open(&mut self) -> Result<()> {
        self.deeper(self.limit)
    }

    fn deeper(&mut self, limit: usize) -> Result<()> {
        self.depth += 1;
        if self.depth > limit {
            return self.unexpected(TOO_DEEP);
        }
        self.at += 1;
        Ok(())
    }

    /// In an object: the next key, its colon consumed; `None` after the closing brace.
    pub fn key(&mut self, first: bool) -> Result<Option<String>> {
        let mut next = self.peek();
        if next == Some(b'}') {
            return Ok(self.close());
        }
        if !first {
            if next != Some(b',') {
                return self.unexpected("after object key:value pair");
            }
            self.at += 1;
            next = self.peek();
        }
        if next != Some(b'"') {
            return self.unexpected("looking for beginning of object key string");
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return self.unexpected("after object key");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// In a list: whether another element follows; `false` after the closing bracket.
    pub fn element(&mut self, first: bool) -> Result<bool> {
        let next = self.peek();
        if next == Some(b']') {
            self.close::<()>();
            return Ok(false);
        }
        if !first {
            if next != Some(b',') {
                return self.unexpected("after array element");
            }
            self.at += 1;
            self.peek();
        }
        Ok(true)
    }

    fn close<T>(&mut self) -> Option<T> {
        self.depth -= 1;
        self.at += 1;
        None
    }

    /// `true`, `false` or `null`.
    pub fn word(&mut self, word: &'static str) -> Result<()> {
        for (i, expected) in word.bytes().enumerate() {
            if self.bytes.get(self.at) != Some(&expected) {
                let context = format!("in literal {word} (expecting '{}')", char::from(word.as_bytes()[i]));
                return self.unexpected(&context);
            }
            self.at += 1;
        }
        Ok(())
    }

    /// A number's text.
    pub fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits("in numeric literal")?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default())
    }

    fn digits(&mut self, context: &str) -> Result<()> {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        if count == 0 { self.unexpected(context) } else { Ok(()) }
    }

    /// Any value, as Go decodes into `interface{}`; duplicate keys are told to `duplicate`.
    pub fn any(&mut self, path: &Path, duplicate: &mut dyn FnMut(&Path, &str)) -> Result<Value> {
        match self.peek() {
            Some(b'{') => {
                self.open()?;
                let mut map = Map::new();
                let mut first = true;
                while let Some(key) = self.key(first)? {
                    first = false;
                    if map.contains_key(&key) {
                        duplicate(path, &key);
                    }
                    let value = self.any(&path.key(&key), duplicate)?;
                    map.insert(key, value);
                }
                Ok(Value::Object(map))
            }
            Some(b'[') => {
                self.open()?;
                let mut list = Vec::new();
                while self.element(list.is_empty())? {
                    let value = self.any(&path.index(list.len()), duplicate)?;
                    list.push(value);
                }
                Ok(Value::Array(list))
            }
            Some(b'"') => self.string().map(Value::String),
            Some(b't') => self.word("true").map(|()| Value::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Value::Bool(false)),
            Some(b'n') => self.word("null").map(|()| Value::Null),
            Some(b'-' | b'0'..=b'9') => {
                let text = self.number()?;
                let too_large = || Syntax(format!("json: cannot unmarshal number {text} into Go value of type float64"));
                number(text).map(Value::Number).ok_or_else(too_large)
            }
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    /// Skips any value, without recursion: what is dropped may be deeper than what is kept.
    pub fn skip(&mut self) -> Result<()> {
        // For each open map or list: whether it is a map.
        let mut open: Vec<bool> = Vec::new();
        loop {
            let begun = match self.peek() {
                Some(b @ (b'{' | b'[')) => {
                    self.deeper(limits::NESTING_DROPPED)?;
                    open.push(b == b'{');
                    true
                }
                Some(b'"') => self.string().map(|_| false)?,
                Some(b't') => self.word("true").map(|()| false)?,
                Some(b'f') => self.word("false").map(|()| false)?,
                Some(b'n') => self.word("null").map(|()| false)?,
                Some(b'-' | b'0'..=b'9') => self.number().map(|_| false)?,
                _ => return self.unexpected("looking for beginning of value"),
            };
            if !self.next_skipped(&mut open, begun)? {
                return Ok(());
            }
        }
    }

    /// Goes to the next value of the innermost open map or list, closing those that end; `false` when none is open.
    fn next_skipped(&mut self, open: &mut Vec<bool>, begun: bool) -> Result<bool> {
        let mut first = begun;
        while let Some(is_map) = open.last() {
            if if *is_map { self.key(first)?.is_some() } else { self.element(first)? } {
                return Ok(true);
            }
            open.pop();
            first = false;
        }
        Ok(false)
    }
}

/// A number as Go's decoder keeps it: an integer if it looks like one and fits, else a double; none that is too large.
pub fn number(text: &str) -> Option<Number> {
    if !text.contains(['.', 'e', 'E'])
        && let Ok(integer) = text.parse::<i64>()
    {
        return Some(Number::from(integer));
    }
    Number::from_f64(text.parse().ok()?)
}

/// A byte in single quotes, as Go quotes it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        7 => r"'\a'".to_owned(),
        8 => r"'\b'".to_owned(),
        11 => r"'\v'".to_owned(),
        12 => r"'\f'".to_owned(),
        0..0x20 | 0x7f => format!(r"'\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!(r"'\u00{byte:02x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}
