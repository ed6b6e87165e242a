//! The first bytes of every file. Each file names another one, so that a file that is gone is missed: a log the
//! one before it, a snapshot the log that goes on from it, and the last frame of a full log the one after it.

use super::frame::u64_at;
use crate::Revision;

/// First bytes of a log.
pub(super) const LOG_MAGIC: &[u8; 8] = b"IRONLOG2";
/// First bytes of a snapshot.
pub(super) const SNAPSHOT_MAGIC: &[u8; 8] = b"IRONSNP2";
/// Magic, the other file, checksum.
pub(super) const FILE_HEADER: usize = 20;

/// What a file says of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// By the revision in its name: of a log the log before it, if there ever was one; of a snapshot the log after it.
    pub(super) other: Option<Revision>,
}

impl Header {
    /// The bytes of it.
    pub(super) fn encode(self, magic: &[u8; 8]) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[..8].copy_from_slice(magic);
        bytes[8..16].copy_from_slice(&self.other.unwrap_or(Revision::MAX).to_le_bytes());
        let sum = crc32fast::hash(&bytes[..16]);
        bytes[16..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads it; `None` when it is damaged or of another sort.
    pub(super) fn read(bytes: &[u8], magic: &[u8; 8]) -> Option<Self> {
        let header = bytes.get(..FILE_HEADER)?;
        let good = header.starts_with(magic) && crc32fast::hash(&header[..16]).to_le_bytes() == header[16..];
        let other = u64_at(header, 8)?;
        good.then_some(Header { other: (other != Revision::MAX).then_some(other) })
    }
}
