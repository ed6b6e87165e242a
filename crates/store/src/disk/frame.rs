//! The format on disk: frames of records, each frame written and synced as one.
//!
//! After a crash the last frame may be torn: a part of it was written, other sectors still are the zeros that the
//! file was filled with. A frame begins and ends with bytes that are no zeros, and says how many of its sectors are
//! zeros by themselves, so that one with a piece missing (torn, never promised to anybody) is told apart from one
//! whose bytes have changed (damage).

use std::sync::Arc;

use bytes::Bytes;

use crate::{Entry, Revision};

/// What disks write whole or not at all, in bytes.
pub(crate) const SECTOR: usize = 512;
const MAGIC: u32 = 0x4952_4652;
/// Bytes before a frame's records: magic, length of the rest, checksum of the rest, sort, blank sectors, durable
/// offset, ceiling, checksum of all these, [`END`].
pub(crate) const FRAME_HEADER: usize = 41;
/// The last byte of each header and of each frame: no sector that has a part of either is zeros alone.
const END: u8 = 0xa5;
const RECORD_HEADER: usize = 25;

/// What comes after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// More frames, or a crash.
    Open,
    /// The store was closed in good order right after this frame; its ceiling is the newest revision.
    Clean,
    /// The log that starts after a revision: the frame's only content.
    Continued,
}

/// What a frame says besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) sort: Sort,
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
    /// Fills the header of a frame whose first [`FRAME_HEADER`] bytes were left free for it, and ends it.
    /// `offset` is where in its file it will lie.
    pub(crate) fn seal(self, bytes: &mut Vec<u8>, offset: u64) {
        bytes.push(END);
        let rest = crc32fast::hash(&bytes[FRAME_HEADER..]);
        let length = (bytes.len() - FRAME_HEADER) as u32;
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes[8..12].copy_from_slice(&rest.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.sort as u32).to_le_bytes());
        bytes[20..28].copy_from_slice(&self.durable.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.ceiling.to_le_bytes());
        bytes[FRAME_HEADER - 1] = END;
        let blank = blank_sectors(bytes, offset);
        bytes[16..20].copy_from_slice(&blank.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..36]);
        bytes[36..40].copy_from_slice(&sum.to_le_bytes());
    }

    /// The frame at the start of `bytes`, its records' bytes and its length; `None` if there is no whole,
    /// undamaged one.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Frame, &[u8], usize)> {
        let (frame, end, _) = header(bytes)?;
        let rest = bytes.get(FRAME_HEADER..end)?;
        let (last, records) = rest.split_last()?;
        (*last == END && crc32fast::hash(rest) == u32_at(bytes, 8)?).then_some((frame, records, end))
    }

    /// Whether what lies unreadable at an offset of a file is a frame that a crash interrupted, or nothing at all.
    pub(crate) fn is_torn(file: &[u8], offset: usize) -> bool {
        let Some(rest) = file.get(offset..) else { return true };
        if rest.iter().all(|b| *b == 0) {
            return true;
        }
        let (end, blank) = header(rest).map_or((FRAME_HEADER, 0), |(_, end, blank)| (end, blank));
        let torn = match rest.get(..end) {
            // The file does not even reach so far.
            None => true,
            // Written from its start, taken back from its start, or by sectors in any order.
            Some(frame) => frame.ends_with(&[0]) || frame.starts_with(&[0]) || blank_sectors(frame, offset as u64) > blank,
        };
        torn && !later_says_durable(rest, offset as u64)
    }
}

/// Whether any frame after the unreadable place says that the place had been durable.
fn later_says_durable(rest: &[u8], offset: u64) -> bool {
    let mut at = 1;
    while let Some(found) = rest.get(at..).and_then(|r| r.windows(4).position(|w| w == MAGIC.to_le_bytes())) {
        if Frame::read(&rest[at + found..]).is_some_and(|(frame, ..)| frame.durable > offset) {
            return true;
        }
        at += found + 1;
    }
    false
}

/// A good header, the length of its frame, and how many sectors of that are zeros by themselves.
fn header(bytes: &[u8]) -> Option<(Frame, usize, u32)> {
    let header = bytes.get(..FRAME_HEADER)?;
    let whole = u32_at(header, 0)? == MAGIC && header[FRAME_HEADER - 1] == END;
    if !whole || crc32fast::hash(&header[..36]) != u32_at(header, 36)? {
        return None;
    }
    let sort = match u32_at(header, 12)? {
        0 => Sort::Open,
        1 => Sort::Clean,
        2 => Sort::Continued,
        _ => return None,
    };
    let frame = Frame { sort, durable: u64_at(header, 20)?, ceiling: u64_at(header, 28)? };
    Some((frame, FRAME_HEADER + u32_at(header, 4)? as usize, u32_at(header, 16)?))
}

/// How many sectors' worth of these bytes are zeros, if they lie at this offset of a file.
fn blank_sectors(bytes: &[u8], offset: u64) -> u32 {
    let first = SECTOR - (offset % SECTOR as u64) as usize;
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    let blank = |piece: &[u8]| piece.iter().all(|b| *b == 0);
    let others = rest.chunks(SECTOR).filter(|piece| blank(piece)).count();
    others as u32 + u32::from(blank(head))
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

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(value: &[u8], offset: usize) -> Vec<u8> {
        let mut bytes = vec![0; FRAME_HEADER];
        Record { revision: 7, created: 5, key: "/a", value: Some(value) }.encode(&mut bytes);
        Record { revision: 8, created: 0, key: "/b", value: None }.encode(&mut bytes);
        Frame { sort: Sort::Open, durable: 9, ceiling: 1000 }.seal(&mut bytes, offset as u64);
        let mut file = vec![b'x'; offset];
        file.extend(bytes);
        file
    }

    #[test]
    fn every_damaged_bit_is_noticed_and_is_no_torn_frame() {
        for offset in [0, 500, 472, 505] {
            let file = sealed(&[b'v'; 600], offset);
            let (frame, mut records, end) = Frame::read(&file[offset..]).expect("whole");
            assert_eq!(frame, Frame { sort: Sort::Open, durable: 9, ceiling: 1000 });
            assert_eq!((end, next_record(&mut records).map(|r| r.revision)), (file.len() - offset, Some(7)));
            assert_eq!(next_record(&mut records), Some(Record { revision: 8, created: 0, key: "/b", value: None }));
            assert!(next_record(&mut records).is_none());
            for bit in offset * 8..file.len() * 8 {
                let mut damaged = file.clone();
                damaged.resize(file.len() + 4096, 0);
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(Frame::read(&damaged[offset..]).is_none(), "bit {bit} at {offset}");
                assert!(!Frame::is_torn(&damaged, offset), "bit {bit} at {offset}");
            }
        }
    }

    #[test]
    fn any_missing_sector_makes_a_torn_frame_and_zeros_of_its_own_do_not() {
        // The value has sectors of zeros of its own.
        for (offset, value) in [(100, vec![b'v'; 3000]), (490, vec![0; 3000])] {
            let file = sealed(&value, offset);
            let sectors = file.len().div_ceil(SECTOR);
            for missing in 0..1u32 << sectors {
                let mut torn = file.clone();
                torn.resize(sectors * SECTOR, 0);
                let blank = |i: usize| missing & (1 << i) != 0;
                (0..sectors).filter(|i| blank(*i)).for_each(|i| torn[(i * SECTOR).max(offset)..(i + 1) * SECTOR].fill(0));
                let whole = Frame::read(&torn[offset..]).is_some();
                assert_eq!(whole, torn[..file.len()] == file[..]);
                assert!(whole || Frame::is_torn(&torn, offset), "sectors {missing:b} at {offset}");
            }
            for cut in offset..file.len() {
                let zeros = vec![0; file.len() - cut];
                assert!(Frame::is_torn(&file[..cut], offset) && Frame::is_torn(&[&file[..cut], &zeros[..]].concat(), offset));
            }
        }
    }
}
