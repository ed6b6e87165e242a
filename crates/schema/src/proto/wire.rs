//! The wire format of protobuf.

/// Writes a message from its end to its beginning, so that every length is known when it is written.
#[derive(Default)]
pub struct Backward {
    /// The bytes so far, the last one first.
    reversed: Vec<u8>,
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

impl Backward {
    /// The bytes in their order.
    pub fn finish(mut self) -> Vec<u8> {
        self.reversed.reverse();
        self.reversed
    }

    /// Where a message that is about to be written ends.
    pub fn mark(&self) -> usize {
        self.reversed.len()
    }

    /// Puts number and length before the message that ends at `mark`.
    pub fn close(&mut self, number: u32, mark: usize) {
        let length = self.reversed.len() - mark;
        self.varint(length as u64);
        self.key(number, LENGTH);
    }

    /// A field of bytes.
    pub fn bytes(&mut self, number: u32, bytes: &[u8]) {
        let mark = self.mark();
        self.raw(bytes);
        self.close(number, mark);
    }

    /// A field with an integer.
    pub fn integer(&mut self, number: u32, value: i64) {
        self.varint(value as u64);
        self.key(number, VARINT);
    }

    /// A field with a double.
    pub fn double(&mut self, number: u32, value: f64) {
        self.raw(&value.to_le_bytes());
        self.key(number, FIXED64);
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.reversed.extend(bytes.iter().rev());
    }

    fn key(&mut self, number: u32, wire_type: u64) {
        self.varint(u64::from(number) << 3 | wire_type);
    }

    fn varint(&mut self, mut value: u64) {
        let mut buffer = [0; 10];
        let mut used = 0;
        loop {
            buffer[used] = (value & 0x7f) as u8 | 0x80;
            used += 1;
            value >>= 7;
            if value == 0 {
                break;
            }
        }
        buffer[used - 1] &= 0x7f;
        self.raw(&buffer[..used]);
    }
}

/// Reads a message field by field.
pub struct Reader<'b> {
    rest: &'b [u8],
}

/// The value of a field.
#[derive(Clone, Copy)]
pub enum Wire<'b> {
    /// An integer.
    Varint(u64),
    /// Eight bytes.
    Fixed(u64),
    /// Bytes.
    Bytes(&'b [u8]),
}

type Result<T> = std::result::Result<T, String>;

impl<'b> Reader<'b> {
    /// At the beginning.
    pub fn new(bytes: &'b [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next field; `None` at the end.
    pub fn field(&mut self) -> Result<Option<(u32, Wire<'b>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|n| *n > 0);
        let number = number.ok_or_else(|| format!("proto: illegal tag {} (wire type {})", key >> 3, key & 7))?;
        let value = match key & 7 {
            VARINT => Wire::Varint(self.varint()?),
            FIXED64 => Wire::Fixed(u64::from_le_bytes(self.take(8)?.try_into().unwrap_or_default())),
            FIXED32 => {
                let four = self.take(4)?;
                Wire::Fixed(u64::from(u32::from_le_bytes(four.try_into().unwrap_or_default())))
            }
            LENGTH => {
                let length = self.varint()?;
                Wire::Bytes(self.take(usize::try_from(length).map_err(|_| eof())?)?)
            }
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(eof)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or_else(eof)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("proto: integer overflow".to_owned())
    }
}

impl<'b> Wire<'b> {
    /// The bytes of a field that must have some.
    pub fn bytes(self) -> Result<&'b [u8]> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err("proto: wrong wireType: a length-delimited field is expected".to_owned()),
        }
    }

    /// The same as text.
    pub fn text(self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// The integer of a field that must have one.
    pub fn integer(self) -> Result<i64> {
        match self {
            Wire::Varint(value) => Ok(value as i64),
            _ => Err("proto: wrong wireType: a varint is expected".to_owned()),
        }
    }

    /// The double of a field that must have one.
    pub fn double(self) -> Result<f64> {
        match self {
            Wire::Fixed(bits) => Ok(f64::from_bits(bits)),
            _ => Err("proto: wrong wireType: eight bytes are expected".to_owned()),
        }
    }
}

fn eof() -> String {
    "unexpected EOF".to_owned()
}
