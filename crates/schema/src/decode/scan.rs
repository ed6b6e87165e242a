//! JSON tokens, with the wording of Go's `encoding/json` for syntax errors.

use serde_json::{Map, Number, Value};

use super::path::Path;

/// Deeper documents are refused: the walk is recursive.
const MAX_DEPTH: u32 = 512;

/// A syntax error in Go's words.
#[derive(Debug)]
pub struct Syntax(pub String);

/// A position in a document.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

type Result<T> = std::result::Result<T, Syntax>;

impl<'a> Cursor<'a> {
    /// At the beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0, depth: 0 }
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
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.unexpected("exceeded max depth");
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

    /// A string; the cursor is on its opening quote.
    pub fn string(&mut self) -> Result<String> {
        self.at += 1;
        let start = self.at;
        self.plain();
        if self.bytes.get(self.at) == Some(&b'"') {
            let text = text(&self.bytes[start..self.at]);
            self.at += 1;
            return Ok(text);
        }
        let mut raw = self.bytes[start..self.at].to_vec();
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut raw)?,
                _ => return self.unexpected("in string literal"),
            }
            let from = self.at;
            self.plain();
            raw.extend_from_slice(&self.bytes[from..self.at]);
        }
        self.at += 1;
        Ok(text(&raw))
    }

    /// Skips to the next quote, backslash or control character.
    fn plain(&mut self) {
        let stop = |b: &u8| matches!(b, b'"' | b'\\') || *b < 0x20;
        const ONES: u64 = u64::from_ne_bytes([1; 8]);
        const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
        // Eight bytes at a time: a byte of the mask is set if it is one to stop at, or after such a one.
        while let Some(chunk) = self.bytes.get(self.at..self.at + 8) {
            let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            let quote = word ^ (ONES * u64::from(b'"'));
            let slash = word ^ (ONES * u64::from(b'\\'));
            let zero = |x: u64| x.wrapping_sub(ONES) & !x;
            let control = word.wrapping_sub(ONES * 0x20) & !word;
            if (zero(quote) | zero(slash) | control) & HIGH != 0 {
                break;
            }
            self.at += 8;
        }
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(stop).unwrap_or(rest.len());
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.at += 1;
        let plain = match self.bytes.get(self.at) {
            Some(c @ (b'"' | b'\\' | b'/')) => *c,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode(out),
            _ => return self.unexpected("in string escape code"),
        };
        self.at += 1;
        out.push(plain);
        Ok(())
    }

    fn unicode(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let mut unit = self.hex()?;
        if (0xd800..0xdc00).contains(&unit) && self.bytes.get(self.at..self.at + 2) == Some(b"\\u") {
            let back = self.at;
            self.at += 1;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            } else {
                self.at = back;
            }
        }
        let c = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// The four digits after `u`, on which the cursor is.
    fn hex(&mut self) -> Result<u32> {
        let mut unit = 0;
        self.at += 1;
        for _ in 0..4 {
            match self.bytes.get(self.at).and_then(|b| char::from(*b).to_digit(16)) {
                Some(digit) => unit = unit * 16 + digit,
                None => return self.unexpected("in \\u hexadecimal character escape"),
            }
            self.at += 1;
        }
        Ok(unit)
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
            Some(b'-' | b'0'..=b'9') => self.number().map(|text| Value::Number(number(text))),
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    /// Skips any value.
    pub fn skip(&mut self) -> Result<()> {
        self.any(&Path::root(), &mut |_, _| {}).map(|_| ())
    }
}

/// A number as Go's decoder keeps it: an integer if it looks like one and fits, else a double.
pub fn number(text: &str) -> Number {
    if !text.contains(['.', 'e', 'E'])
        && let Ok(integer) = text.parse::<i64>()
    {
        return Number::from(integer);
    }
    Number::from_f64(text.parse().unwrap_or(0.0)).unwrap_or_else(|| Number::from(0))
}

/// UTF-8, broken bytes replaced.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
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
