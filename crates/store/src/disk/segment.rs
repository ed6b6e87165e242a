//! One file of the log, open for writing: frames go to its end, each durable before the next begins.
//!
//! The file is filled with zeros ahead of its end, so that a small frame changes no length and costs the disk
//! nothing but its own sectors.

use std::io;

use super::frame::{FRAME_HEADER, Frame, Sort};
use super::header::{Header, LOG_MAGIC};
use super::medium::{Blob, Medium};
use crate::Revision;

/// Why a frame is not in the log.
#[derive(Debug)]
pub(super) enum Failure {
    /// No trace of it is left, durably.
    Undone(io::Error),
    /// Whether it is there is not known: what comes after a restart decides.
    Unknown(io::Error),
}

/// The log that is written to.
pub(super) struct Segment {
    /// The revision after which it starts; its name.
    pub(super) after: Revision,
    blob: Box<dyn Blob>,
    /// Bytes of header and frames, all of them durable.
    pub(super) length: u64,
    /// Length of the file. All after `length` is zeros.
    filled: u64,
    /// Zeros put down at once, in bytes.
    ahead: u64,
}

/// The name of the log that starts after a revision.
pub(super) fn log_name(after: Revision) -> String {
    format!("{after:020}.log")
}

impl Segment {
    /// Makes a new log, durably. After an error no file of its name is left, or one without frames.
    pub(super) fn create(medium: &dyn Medium, after: Revision, previous: Option<Revision>, ahead: u64) -> io::Result<Self> {
        let name = log_name(after);
        let made = medium.create(&name).and_then(|mut blob| {
            let header = Header { other: previous }.encode(LOG_MAGIC);
            blob.write_at(&header, 0)?;
            blob.sync()?;
            medium.sync()?;
            let length = header.len() as u64;
            Ok(Segment { after, blob, length, filled: length, ahead })
        });
        made.inspect_err(|_| drop(medium.remove(&name)))
    }

    /// Opens a log to go on after its last good frame; everything behind that goes.
    pub(super) fn open(medium: &dyn Medium, after: Revision, length: u64, ahead: u64) -> io::Result<Self> {
        let mut blob = medium.open(&log_name(after))?;
        blob.set_len(length)?;
        blob.sync()?;
        Ok(Segment { after, blob, length, filled: length, ahead })
    }

    /// Seals the frame, whose header was left free, and makes it durable. `bytes` is as before when this returns.
    pub(super) fn append(&mut self, sort: Sort, ceiling: Revision, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        let content = bytes.len();
        Frame { sort, durable: self.length, ceiling }.seal(bytes, self.length);
        let end = self.length + bytes.len() as u64;
        self.fill(end, bytes.len() as u64);
        let written = self.blob.write_at(bytes, self.length).and_then(|()| self.blob.sync());
        bytes.truncate(content);
        if let Err(error) = written {
            return Err(match self.undo(end) {
                Ok(()) => Failure::Undone(error),
                Err(_) => Failure::Unknown(error),
            });
        }
        self.length = end;
        self.filled = self.filled.max(end);
        Ok(())
    }

    /// A frame that only says in which log it goes on.
    pub(super) fn close_for(&mut self, next: Revision, ceiling: Revision) -> Result<(), Failure> {
        let mut bytes = vec![0; FRAME_HEADER];
        bytes.extend_from_slice(&next.to_le_bytes());
        self.append(Sort::Continued, ceiling, &mut bytes)
    }

    /// Puts zeros down for this frame and those after it. A large frame goes without: for it, the zeros would cost
    /// more than a new length does. So it does where zeros find no room: the frame may.
    fn fill(&mut self, end: u64, length: u64) {
        if end <= self.filled || length > self.ahead / 4 {
            return;
        }
        let from = self.filled.max(self.length);
        let zeros = vec![0; usize::try_from(end - from + self.ahead).unwrap_or_default()];
        if self.blob.write_at(&zeros, from).is_ok() {
            self.filled = from + zeros.len() as u64;
        } else {
            // As much of it as there is are zeros, too.
            drop(self.blob.set_len(self.filled));
        }
    }

    /// Takes the zeros back that nothing will be written into.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        self.blob.set_len(self.length)?;
        self.filled = self.length;
        self.blob.sync()
    }

    /// Takes back whatever of a frame that should have ended at `end` has reached the file.
    fn undo(&mut self, end: u64) -> io::Result<()> {
        if end > self.filled {
            self.blob.set_len(self.length)?;
            self.filled = self.length;
            return self.blob.sync();
        }
        // Its first byte first, which is written or not, and nothing between: without it, it is no frame any more,
        // whatever becomes of the rest.
        self.blob.write_at(&[0], self.length)?;
        self.blob.sync()?;
        let zeros = vec![0; usize::try_from(end - self.length).unwrap_or_default()];
        self.blob.write_at(&zeros, self.length)?;
        self.blob.sync()
    }
}
