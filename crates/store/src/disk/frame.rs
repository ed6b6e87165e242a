//! The format on disk: frames of records, each frame written and synced as one.
//!
//! A frame says how much of its file was durable when it was written. After a crash an
//! unreadable frame is a torn tail if nothing later claims that it was durable, and damage
//! otherwise.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Entry, Revision};

/// First bytes of every file: format and version.
pub(crate) const FILE_MAGIC: &[u8; 8] = b"IRONLOG1";
/// Bytes before the first frame.
pub(crate) const FILE_HEADER: usize = FILE_MAGIC.len();
const FRAME_MAGIC: u32 = 0x4952_4652;
/// Bytes before a frame's records: magic, length, checksum, flags, durable offset, ceiling.
pub(crate) const FRAME_HEADER: usize = 32;
const RECORD_HEADER: usize = 25;

/// What a frame says besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The store was closed in good order right after this frame.
    pub(crate) clean: bool,
    /// All bytes of the file before this offset were durable when the frame was written.
    pub(crate) durable: u64,
    /// No revision above this has been handed out until a later frame says otherwise.
    pub(crate) ceiling: Revision,
}

/// One change, borrowed from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) revision: Revision,
    pub(crate) created: Revision,
    pub(crate) key: &'a str,
    /// `None`: the key was deleted.
    pub(crate) value: Option<&'a [u8]>,
}

impl Record<'_> {
    /// The entry, with its own memory.
    pub(crate) fn entry(&self) -> Option<Entry> {
        let value = Bytes::copy_from_slice(self.value?);
        Some(Entry { key: Arc::from(self.key), value, created: self.created, modified: self.revision })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.value.is_some()));
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&(self.key.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.value.map_or(0, <[u8]>::len) as u32).to_le_bytes());
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(self.value.unwrap_or_default());
    }
}

impl Frame {
    /// Fills the header of a frame whose first [`FRAME_HEADER`] bytes were left free for it.
    pub(crate) fn seal(self, bytes: &mut [u8]) {
        let length = (bytes.len() - FRAME_HEADER) as u32;
        bytes[0..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes[12..16].copy_from_slice(&u32::from(self.clean).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.durable.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.ceiling.to_le_bytes());
        let sum = checksum(bytes);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    }

    /// The frame at the start of `bytes` and its records' bytes; `None` if there is no whole, undamaged one.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Frame, &[u8])> {
        let header = bytes.get(..FRAME_HEADER)?;
        if u32_at(header, 0)? != FRAME_MAGIC {
            return None;
        }
        let end = FRAME_HEADER + u32_at(header, 4)? as usize;
        let whole = bytes.get(..end)?;
        if checksum(whole) != u32_at(header, 8)? {
            return None;
        }
        let frame =
            Frame { clean: u32_at(header, 12)? == 1, durable: u64_at(header, 16)?, ceiling: u64_at(header, 24)? };
        Some((frame, &whole[FRAME_HEADER..]))
    }

    /// The offset of the next thing in `bytes` that looks like the start of a frame.
    pub(crate) fn find(bytes: &[u8]) -> Option<usize> {
        bytes.windows(4).position(|w| w == FRAME_MAGIC.to_le_bytes())
    }
}

/// Takes the first record off `bytes`. The checksum has been verified, so `None` means a
/// program error in the writer; callers report it as damage.
pub(crate) fn next_record<'a>(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
    let put = *bytes.first()? == 1;
    let (revision, created) = (u64_at(bytes, 1)?, u64_at(bytes, 9)?);
    let key_end = RECORD_HEADER + u32_at(bytes, 17)? as usize;
    let end = key_end + u32_at(bytes, 21)? as usize;
    let key = std::str::from_utf8(bytes.get(RECORD_HEADER..key_end)?).ok()?;
    let value = bytes.get(key_end..end)?;
    *bytes = &bytes[end..];
    Some(Record { revision, created, key, value: put.then_some(value) })
}

/// Over everything but the checksum itself.
fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..8]);
    hasher.update(&frame[12..]);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damaged_bit_is_noticed() {
        let mut bytes = vec![0; FRAME_HEADER];
        let put = Record { revision: 7, created: 5, key: "/a", value: Some(b"v") };
        let gone = Record { revision: 8, created: 0, key: "/b", value: None };
        put.encode(&mut bytes);
        gone.encode(&mut bytes);
        let frame = Frame { clean: false, durable: 9, ceiling: 1000 };
        frame.seal(&mut bytes);
        let (read, mut records) = Frame::read(&bytes).expect("whole");
        assert_eq!((read, next_record(&mut records), next_record(&mut records)), (frame, Some(put), Some(gone)));
        assert!(next_record(&mut records).is_none());
        for i in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[i / 8] ^= 1 << (i % 8);
            assert!(Frame::read(&damaged).is_none(), "bit {i}");
        }
        assert!(Frame::read(&bytes[..bytes.len() - 1]).is_none());
    }
}
