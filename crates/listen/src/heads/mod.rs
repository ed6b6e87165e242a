//! Heads over HTTP/2 whose path is longer than a URI may be: the library below gets its beginning, and the rest in a field of
//! its own, as [`crate::first`] does it over HTTP/1.1. Only heads of several frames can be so long; everything else goes by.

mod fields;
mod huffman;

use std::io;
use std::sync::Arc;

use http::HeaderName;
use http::header::InvalidHeaderName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{GATHERED, HEAD_BYTES};

/// Bytes before the first frame (RFC 9113, 3.4), and before each frame's content.
const PREFACE: usize = 24;
const FRAME: usize = 9;
/// The longest content of a frame: more is not announced.
const CONTENT: usize = 16 << 10;
/// Types of frames.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// What frames say of themselves.
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The name of a field that nobody else knows.
pub fn field() -> Result<HeaderName, InvalidHeaderName> {
    HeaderName::try_from(format!("x-rest-{:032x}", rand::random::<u128>()))
}

/// Watches frames go by.
pub struct Heads {
    /// The field that has the rest of a path. Nobody else knows it.
    name: HeaderName,
    /// Of what goes by, so much is still to come.
    passing: usize,
    /// The beginning of a frame.
    begun: Vec<u8>,
    head: Option<Head>,
    /// Who has heads that are longer than they should be: so many at once, of all connections.
    room: Arc<Semaphore>,
    /// The place of the one that comes here, until it is over.
    long: Option<OwnedSemaphorePermit>,
}

/// A head that comes in several frames.
struct Head {
    flags: u8,
    stream: [u8; 4],
    /// As it came.
    frames: Vec<u8>,
    fields: Vec<u8>,
    /// Of the frame that comes, so much is still to come, and it is the last.
    left: usize,
    last: bool,
}

impl Heads {
    /// Before the first byte.
    pub fn new(name: HeaderName, room: Arc<Semaphore>) -> Self {
        Heads { name, passing: PREFACE, begun: Vec::new(), head: None, room, long: None }
    }

    /// Whether all of these bytes go by as they are: they are within one frame.
    pub fn passes(&mut self, bytes: &[u8]) -> bool {
        let within = bytes.len() <= self.passing;
        if within {
            self.passing -= bytes.len();
        }
        within
    }

    /// Takes bytes, and puts out what the library below is to get. The error is that others have too many long heads on
    /// their way: the connection can go no further.
    pub fn pass(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while !bytes.is_empty() {
            if let Some(head) = self.head.as_mut().filter(|head| head.left > 0) {
                let (mine, others) = bytes.split_at(head.left.min(bytes.len()));
                head.frames.extend_from_slice(mine);
                head.fields.extend_from_slice(mine);
                (head.left, bytes) = (head.left - mine.len(), others);
                self.after(out);
                continue;
            }
            if self.passing > 0 {
                let (mine, others) = bytes.split_at(self.passing.min(bytes.len()));
                out.extend_from_slice(mine);
                (self.passing, bytes) = (self.passing - mine.len(), others);
                continue;
            }
            let (mine, others) = bytes.split_at((FRAME - self.begun.len()).min(bytes.len()));
            self.begun.extend_from_slice(mine);
            bytes = others;
            if self.begun.len() == FRAME {
                self.frame(out)?;
            }
        }
        Ok(())
    }

    /// A frame begins.
    fn frame(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let begun = std::mem::take(&mut self.begun);
        let [a, b, c, kind, flags, s, t, u, v] = begun[..] else { return Ok(()) };
        let (length, stream) = (u32::from_be_bytes([0, a, b, c]) as usize, [s, t, u, v]);
        self.long = self.long.take().filter(|_| kind == CONTINUATION);
        let is_long = |head: &Head| kind == CONTINUATION && head.frames.len() + length > HEAD_BYTES;
        if self.long.is_none() && self.head.as_ref().is_some_and(is_long) {
            let place = self.room.clone().try_acquire_owned();
            self.long = Some(place.map_err(|_| io::Error::other("too many long heads at once"))?);
        }
        match &mut self.head {
            Some(head) if kind == CONTINUATION && head.frames.len() + length <= GATHERED => {
                head.frames.extend_from_slice(&begun);
                (head.left, head.last) = (length, flags & END_HEADERS != 0);
                self.after(out);
            }
            None if kind == HEADERS && flags & END_HEADERS == 0 => {
                self.head = Some(Head { flags, stream, frames: begun, fields: Vec::new(), left: length, last: false });
            }
            head => {
                // It is longer than can be, or no head any more: the library below says what is wrong.
                if let Some(head) = head.take() {
                    out.extend_from_slice(&head.frames);
                }
                out.extend_from_slice(&begun);
                self.passing = length;
            }
        }
        Ok(())
    }

    /// A part of a head has come.
    fn after(&mut self, out: &mut Vec<u8>) {
        let Some(head) = self.head.as_mut().filter(|head| head.left == 0) else { return };
        if head.frames.len() == head.fields.len() + FRAME {
            head.strip();
        }
        if !head.last {
            return;
        }
        if let Some(head) = self.head.take() {
            self.long = None;
            match fields::cut(&head.fields, self.name.as_str()) {
                Some(fields) => head.write(&fields, out),
                None => out.extend_from_slice(&head.frames),
            }
        }
    }
}

impl Head {
    /// Leaves the fields alone of the first frame's content. One that is wrong is left as it is, and is wrong then, too.
    fn strip(&mut self) {
        let (mut from, mut until) = (0, self.fields.len());
        if self.flags & PADDED != 0 {
            until = until.saturating_sub(self.fields.first().copied().map_or(0, usize::from));
            from += 1;
        }
        if self.flags & PRIORITY != 0 {
            from += 5;
        }
        if from <= until {
            self.fields = self.fields[from..until].to_vec();
        }
    }

    /// Frames with these fields.
    fn write(&self, fields: &[u8], out: &mut Vec<u8>) {
        let parts = fields.len().div_ceil(CONTENT);
        for (at, part) in fields.chunks(CONTENT).enumerate() {
            let length = u32::try_from(part.len()).unwrap_or(0).to_be_bytes();
            let (kind, flags) = if at == 0 { (HEADERS, self.flags & END_STREAM) } else { (CONTINUATION, 0) };
            let end = if at + 1 == parts { END_HEADERS } else { 0 };
            out.extend_from_slice(&length[1..]);
            out.extend_from_slice(&[kind, flags | end]);
            out.extend_from_slice(&self.stream);
            out.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests;
