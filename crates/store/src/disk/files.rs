//! The files of a store directory: one snapshot of all entries, and the logs after it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{FILE_HEADER, FILE_MAGIC, FRAME_HEADER, Frame, Record, next_record};
use crate::{Entry, Error, Revision};

/// What was found in a directory.
pub(super) struct Recovered {
    /// All live entries in key order.
    pub(super) entries: Vec<Entry>,
    /// The newest revision that may have been observed.
    pub(super) revision: Revision,
    /// The log to go on writing, cut after its last whole frame; `None` in an empty directory.
    pub(super) log: Option<PathBuf>,
    /// Bytes in all logs.
    pub(super) log_bytes: u64,
}

/// Takes the directory for this process; the lock goes with the returned file.
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
    let file = file.map_err(|e| io_error("open", &path, &e))?;
    // SAFETY: flock on a descriptor that we own.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(Error::Io(format!("{} is in use by another process", dir.display())));
    }
    Ok(file)
}

/// The path of a log that starts after a revision.
pub(super) fn log_path(dir: &Path, after: Revision) -> PathBuf {
    dir.join(format!("{after:020}.log"))
}

/// Makes a new, empty log, durably.
pub(super) fn create_log(dir: &Path, after: Revision) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).open(log_path(dir, after))?;
    if file.metadata()?.len() == 0 {
        file.write_all(FILE_MAGIC)?;
    }
    file.sync_all()?;
    File::open(dir)?.sync_all()?;
    Ok(file)
}

/// Writes all entries as of `revision` into a new snapshot, then removes what it makes superfluous.
pub(super) fn write_snapshot(dir: &Path, entries: &[Entry], revision: Revision) -> io::Result<()> {
    let temporary = dir.join("snapshot.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(FILE_MAGIC)?;
    let mut bytes = vec![0; FRAME_HEADER];
    for entry in entries {
        let record =
            Record { revision: entry.modified, created: entry.created, key: &entry.key, value: Some(&entry.value) };
        record.encode(&mut bytes);
        if bytes.len() > 1 << 20 {
            Frame { clean: false, durable: 0, ceiling: revision }.seal(&mut bytes);
            file.write_all(&bytes)?;
            bytes.truncate(FRAME_HEADER);
        }
    }
    // The last frame is marked, so that a snapshot cut short is noticed.
    Frame { clean: true, durable: 0, ceiling: revision }.seal(&mut bytes);
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(format!("{revision:020}.snap")))?;
    File::open(dir)?.sync_all()?;
    remove_superseded(dir, revision)
}

fn remove_superseded(dir: &Path, snapshot: Revision) -> io::Result<()> {
    let logs = list(dir, "log")?;
    // A log is superseded when the one after it starts at or before the snapshot.
    for pair in logs.windows(2) {
        if pair[1].0 <= snapshot {
            fs::remove_file(&pair[0].1)?;
        }
    }
    for (revision, path) in list(dir, "snap")? {
        if revision < snapshot {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Reads a directory: newest snapshot, then the logs. Cuts a torn tail off; reports damage.
pub(super) fn recover(dir: &Path) -> Result<Recovered, Error> {
    let io = |e: io::Error| io_error("read", dir, &e);
    let mut entries: BTreeMap<Arc<str>, Entry> = BTreeMap::new();
    let mut revision = 1;
    if let Some((at, path)) = list(dir, "snap").map_err(io)?.pop() {
        revision = at;
        read_snapshot(&path, &mut entries)?;
    }
    let logs = list(dir, "log").map_err(io)?;
    let mut log_bytes = 0;
    let snapshot = revision;
    for (i, (_, path)) in logs.iter().enumerate() {
        let last = i + 1 == logs.len();
        let (newest, bytes) = read_log(path, last, snapshot, &mut entries)?;
        revision = revision.max(newest);
        log_bytes += bytes;
    }
    let log = logs.into_iter().next_back().map(|(_, path)| path);
    Ok(Recovered { entries: entries.into_values().collect(), revision, log, log_bytes })
}

fn read_snapshot(path: &Path, entries: &mut BTreeMap<Arc<str>, Entry>) -> Result<(), Error> {
    let bytes = read(path)?;
    let mut offset = FILE_HEADER;
    loop {
        let (frame, records) = Frame::read(&bytes[offset..]).ok_or_else(|| damaged(path, offset))?;
        offset += FRAME_HEADER + records.len();
        take_in(records, 0, entries).ok_or_else(|| damaged(path, offset))?;
        if frame.clean {
            return Ok(());
        }
    }
}

/// Returns the newest revision that may have been observed, and the length of what is good.
fn read_log(
    path: &Path,
    last: bool,
    after: Revision,
    entries: &mut BTreeMap<Arc<str>, Entry>,
) -> Result<(Revision, u64), Error> {
    let bytes = read(path)?;
    let mut offset = FILE_HEADER;
    let (mut revision, mut newest_frame) = (0, None);
    while offset < bytes.len() {
        let Some((frame, records)) = Frame::read(&bytes[offset..]) else {
            if !last || was_durable(&bytes[offset..], offset as u64) {
                return Err(damaged(path, offset));
            }
            cut(path, offset)?;
            break;
        };
        let newest = take_in(records, after, entries).ok_or_else(|| damaged(path, offset))?;
        revision = newest.max(revision);
        offset += FRAME_HEADER + records.len();
        newest_frame = Some(frame);
    }
    // After a crash revisions up to the ceiling may have been seen by somebody.
    let observed = newest_frame.map_or(0, |f| if f.clean || !last { revision } else { f.ceiling });
    Ok((observed.max(revision), offset as u64))
}

/// Whether any frame after the unreadable place says that the place had been durable.
fn was_durable(rest: &[u8], offset: u64) -> bool {
    let mut at = 1;
    while let Some(found) = rest.get(at..).and_then(Frame::find) {
        if Frame::read(&rest[at + found..]).is_some_and(|(frame, _)| frame.durable > offset) {
            return true;
        }
        at += found + 1;
    }
    false
}

fn take_in(mut records: &[u8], after: Revision, entries: &mut BTreeMap<Arc<str>, Entry>) -> Option<Revision> {
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

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(|e| io_error("open", path, &e))?;
    file.read_to_end(&mut bytes).map_err(|e| io_error("read", path, &e))?;
    // A crash right after the file was made may leave it empty or short.
    if bytes.len() < FILE_HEADER && FILE_MAGIC.starts_with(&bytes) {
        fs::write(path, FILE_MAGIC).map_err(|e| io_error("write", path, &e))?;
        return Ok(FILE_MAGIC.to_vec());
    }
    if !bytes.starts_with(FILE_MAGIC) {
        return Err(damaged(path, 0));
    }
    Ok(bytes)
}

fn cut(path: &Path, length: usize) -> Result<(), Error> {
    tracing::warn!(file = %path.display(), length, "cut off a write that the last crash interrupted");
    let file = OpenOptions::new().write(true).open(path).map_err(|e| io_error("open", path, &e))?;
    file.set_len(length as u64).and_then(|()| file.sync_all()).map_err(|e| io_error("truncate", path, &e))
}

/// Files of one sort with the revision in their name, oldest first.
fn list(dir: &Path, extension: &str) -> io::Result<Vec<(Revision, PathBuf)>> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir)? {
        let path = item?.path();
        let revision = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
        if let Some(revision) = revision.filter(|_| path.extension().is_some_and(|e| e == extension)) {
            found.push((revision, path));
        }
    }
    found.sort();
    Ok(found)
}

fn damaged(path: &Path, offset: usize) -> Error {
    let path = path.display();
    Error::Corrupt(format!(
        "the database file {path} is damaged at byte {offset}; restore the directory from a backup, \
         or move it away to start with an empty cluster"
    ))
}

pub(super) fn io_error(operation: &str, path: &Path, error: &io::Error) -> Error {
    Error::Io(format!("{operation} {}: {error}{}", path.display(), advice(error)))
}

/// What to do about an error, if that is known.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => ": free some space there; what was acknowledged is kept",
        _ => "",
    }
}
