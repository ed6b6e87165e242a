//! JSON strings.

use super::scan::{Cursor, Result};

impl Cursor<'_> {
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
}

/// UTF-8, broken bytes replaced.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
