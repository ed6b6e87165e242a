//! Header blocks: pairs of names and values, compressed with one zlib stream for each direction.

use std::collections::BTreeMap;
use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::dictionary;

/// Names, in lower case, and values of a stream.
pub type Headers = BTreeMap<String, String>;

/// The longest header block once it is unpacked, bytes.
const LONGEST: usize = 64 * 1024;
const ROOM: usize = 4 * 1024;

/// Packs header blocks.
pub struct Packer(Compress);

impl Packer {
    /// The state before the first block.
    pub fn new() -> io::Result<Self> {
        let mut zlib = Compress::new(Compression::fast(), true);
        zlib.set_dictionary(&dictionary::bytes()).map_err(io::Error::other)?;
        Ok(Packer(zlib))
    }

    /// One block.
    pub fn pack(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        plain.extend_from_slice(&length(headers.len()));
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&length(text.len()));
            plain.extend_from_slice(text.as_bytes());
        }
        let mut packed = Vec::with_capacity(plain.len() + ROOM);
        let start = self.0.total_in();
        loop {
            let taken = usize::try_from(self.0.total_in() - start).map_err(io::Error::other)?;
            self.0.compress_vec(&plain[taken..], &mut packed, FlushCompress::Sync).map_err(io::Error::other)?;
            if packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(ROOM);
        }
    }
}

/// Unpacks header blocks.
pub struct Unpacker(Decompress);

impl Unpacker {
    /// The state before the first block.
    pub fn new() -> Self {
        Unpacker(Decompress::new(true))
    }

    /// One block.
    pub fn unpack(&mut self, packed: &[u8]) -> io::Result<Headers> {
        let mut plain = Vec::with_capacity(ROOM);
        let start = self.0.total_in();
        loop {
            let taken = usize::try_from(self.0.total_in() - start).map_err(io::Error::other)?;
            match self.0.decompress_vec(&packed[taken..], &mut plain, FlushDecompress::Sync) {
                Ok(Status::BufError) | Ok(Status::StreamEnd) => break,
                Ok(Status::Ok) => {}
                // Only the first block asks for it.
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&dictionary::bytes()).map_err(io::Error::other)?;
                    continue;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
            if plain.len() > LONGEST {
                return Err(invalid("a header block is too long"));
            }
            plain.reserve(ROOM);
        }
        parse(&plain)
    }
}

fn parse(plain: &[u8]) -> io::Result<Headers> {
    let mut rest = plain;
    let mut headers = Headers::new();
    for _ in 0..number(&mut rest)? {
        let name = text(&mut rest)?.to_ascii_lowercase();
        headers.insert(name, text(&mut rest)?);
    }
    Ok(headers)
}

fn number(rest: &mut &[u8]) -> io::Result<usize> {
    let (first, after) = rest.split_first_chunk::<4>().ok_or_else(|| invalid("a header block ends early"))?;
    *rest = after;
    usize::try_from(u32::from_be_bytes(*first)).map_err(io::Error::other)
}

fn text(rest: &mut &[u8]) -> io::Result<String> {
    let length = number(rest)?;
    let (text, after) = rest.split_at_checked(length).ok_or_else(|| invalid("a header block ends early"))?;
    *rest = after;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn length(of: usize) -> [u8; 4] {
    u32::try_from(of).unwrap_or(u32::MAX).to_be_bytes()
}

/// The peer does not keep to the protocol.
pub fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_share_one_stream() {
        let (mut packer, mut unpacker) = (Packer::new().expect("ready"), Unpacker::new());
        for (kind, value) in [("data", "8080".to_owned()), ("error", "x".repeat(20_000)), ("data", String::new())] {
            let headers: Headers = [("streamtype".to_owned(), kind.to_owned()), ("port".to_owned(), value)].into();
            let packed = packer.pack(&headers).expect("packed");
            assert_eq!(unpacker.unpack(&packed).expect("unpacked"), headers);
        }
        assert!(Unpacker::new().unpack(b"not zlib").is_err());
        assert!(parse(&[0, 0, 0, 1, 0, 0, 0, 9, b'x']).is_err());
    }
}
