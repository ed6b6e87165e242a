//! The snapshot: all live entries as of a revision, in one file that takes the place of the logs before it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::files::{self, damaged};
use super::frame::{FRAME_HEADER, Frame, Record, Sort, next_record};
use super::header::{FILE_HEADER, Header, SNAPSHOT_MAGIC};
use super::medium::Medium;
use crate::{Entry, Error, Revision};

/// The name under which a snapshot is written. What a crash leaves of it is removed at the next start.
pub(super) const TEMPORARY: &str = "snapshot.tmp";
/// Bytes of records in one frame.
const FRAME: usize = 1 << 20;

/// What a snapshot says besides its entries.
pub(super) struct Snapshot {
    /// Everything up to here is in it.
    pub(super) revision: Revision,
    /// The log that goes on from it: it may begin with what the snapshot has already.
    pub(super) log: Revision,
    /// Revisions up to this one may have been handed out.
    pub(super) ceiling: Revision,
}

/// The name of the snapshot of a revision.
pub(super) fn name(revision: Revision) -> String {
    format!("{revision:020}.snap")
}

/// Writes it, durably, then removes the files that it makes superfluous.
pub(super) fn write(medium: &dyn Medium, entries: &[Entry], about: &Snapshot) -> io::Result<()> {
    write_beside(medium, entries, about)?;
    files::remove_superseded(medium, about)
}

/// Writes it, durably, and leaves the other files as they are. After an error no half of it is left.
pub(super) fn write_beside(medium: &dyn Medium, entries: &[Entry], about: &Snapshot) -> io::Result<()> {
    let written = write_temporary(medium, entries, about);
    let renamed = written.and_then(|()| medium.rename(TEMPORARY, &name(about.revision)));
    renamed.inspect_err(|_| drop(medium.remove(TEMPORARY)))?;
    medium.sync()
}

fn write_temporary(medium: &dyn Medium, entries: &[Entry], about: &Snapshot) -> io::Result<()> {
    let mut blob = medium.create(TEMPORARY)?;
    blob.write_at(&Header { other: Some(about.log) }.encode(SNAPSHOT_MAGIC), 0)?;
    let mut offset = FILE_HEADER as u64;
    let mut bytes = vec![0; FRAME_HEADER];
    let mut put = |bytes: &mut Vec<u8>, sort| -> io::Result<()> {
        Frame { sort, durable: 0, ceiling: about.ceiling }.seal(bytes, offset);
        blob.write_at(bytes, offset)?;
        offset += bytes.len() as u64;
        bytes.truncate(FRAME_HEADER);
        Ok(())
    };
    for entry in entries {
        let record =
            Record { revision: entry.modified, created: entry.created, key: &entry.key, value: Some(&entry.value) };
        record.encode(&mut bytes);
        if bytes.len() > FRAME {
            put(&mut bytes, Sort::Open)?;
        }
    }
    // The last frame is marked, so that a snapshot cut short is noticed.
    put(&mut bytes, Sort::Clean)?;
    blob.sync()
}

/// Reads it whole.
pub(super) fn read(
    medium: &dyn Medium,
    revision: Revision,
    entries: &mut BTreeMap<Arc<str>, Entry>,
) -> Result<Snapshot, Error> {
    let name = name(revision);
    let bytes = files::read(medium, &name)?;
    let damaged = |offset| damaged(medium, &name, offset);
    let header = Header::read(&bytes, SNAPSHOT_MAGIC).ok_or_else(|| damaged(0))?;
    let log = header.other.ok_or_else(|| damaged(0))?;
    let mut offset = FILE_HEADER;
    loop {
        let (frame, records, length) = bytes.get(offset..).and_then(Frame::read).ok_or_else(|| damaged(offset))?;
        take_in(records, 0, entries).ok_or_else(|| damaged(offset))?;
        if frame.sort == Sort::Clean {
            return Ok(Snapshot { revision, log, ceiling: frame.ceiling });
        }
        offset += length;
    }
}

/// Applies the records that come after a revision. Returns the newest revision among them, or 0.
pub(super) fn take_in(
    mut records: &[u8],
    after: Revision,
    entries: &mut BTreeMap<Arc<str>, Entry>,
) -> Option<Revision> {
    let mut newest = 0;
    while !records.is_empty() {
        let record = next_record(&mut records)?;
        newest = record.revision;
        if record.revision <= after {
            continue;
        }
        match record.entry() {
            Some(entry) => drop(entries.insert(entry.key.clone(), entry)),
            None => drop(entries.remove(record.key)),
        }
    }
    Some(newest)
}
