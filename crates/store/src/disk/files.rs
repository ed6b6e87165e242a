//! The files of a store directory: one snapshot of all entries, the logs after it, and the format's number.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::medium::Medium;
use super::segment::log_name;
use super::snapshot::{self, Snapshot};
use crate::{Error, Revision};

/// The file that tells the format of the others, and that there are others.
pub(super) const FORMAT: &str = "format";
/// The format that is written here. 1 had no such file.
const VERSION: u32 = 2;

/// Takes the directory for this process; the lock goes with the returned file.
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|e| Error::Io(format!("open {}: {e}{}", path.display(), advice(&e))))?;
    // SAFETY: flock on a descriptor that we own.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(Error::Io(format!("{} is in use by another process", dir.display())));
    }
    Ok(file)
}

/// Whether the directory holds a store of this format. One of a later format is refused.
pub(super) fn has_format(medium: &dyn Medium) -> Result<bool, Error> {
    let bytes = match medium.read(FORMAT) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(io_error("read", medium, &e)),
    };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim().parse::<u32>() {
        // A crash while it was written: nothing had been stored.
        _ if !bytes.ends_with(b"\n") => Ok(false),
        Ok(version) if version <= VERSION => Ok(true),
        Ok(version) => Err(Error::Corrupt(format!(
            "the database in {} has format {version}, this Ironclad knows formats up to {VERSION}: run the newer \
             Ironclad that wrote it, or restore a backup that was made before",
            medium.place()
        ))),
        Err(_) => Err(damaged(medium, FORMAT, 0)),
    }
}

/// Says, durably, that the directory holds a store of this format.
pub(super) fn write_format(medium: &dyn Medium) -> io::Result<()> {
    let mut blob = medium.create(FORMAT)?;
    blob.write_at(format!("{VERSION}\n").as_bytes(), 0)?;
    blob.sync()?;
    medium.sync()
}

/// The revisions in the names of all files of a sort (`log`, `snap`), oldest first.
pub(super) fn revisions(medium: &dyn Medium, extension: &str) -> Result<Vec<Revision>, Error> {
    let names = medium.list().map_err(|e| io_error("read", medium, &e))?;
    let revision = |name: &String| name.strip_suffix(extension)?.strip_suffix('.')?.parse().ok();
    let mut found: Vec<Revision> = names.iter().filter_map(revision).collect();
    found.sort_unstable();
    Ok(found)
}

/// Removes what a snapshot has taken the place of.
pub(super) fn remove_superseded(medium: &dyn Medium, about: &Snapshot) -> io::Result<()> {
    let list = |extension| revisions(medium, extension).map_err(|e| io::Error::other(e.to_string()));
    let logs = list("log")?.into_iter().filter(|after| *after < about.log).map(log_name);
    let snapshots = list("snap")?.into_iter().filter(|at| *at < about.revision).map(snapshot::name);
    for name in logs.chain(snapshots) {
        medium.remove(&name)?;
    }
    Ok(())
}

/// All bytes of a file.
pub(super) fn read(medium: &dyn Medium, name: &str) -> Result<Vec<u8>, Error> {
    medium.read(name).map_err(|e| io_error("read", medium, &e))
}

/// What lies there is not what was written.
pub(super) fn damaged(medium: &dyn Medium, name: &str, offset: usize) -> Error {
    Error::Corrupt(format!(
        "the database file {}/{name} is damaged at byte {offset}; restore the directory from a backup, \
         or move it away to start with an empty cluster",
        medium.place()
    ))
}

/// A file is gone that others speak of.
pub(super) fn missing(medium: &dyn Medium, name: &str, who: &str) -> Error {
    Error::Corrupt(format!(
        "the database file {}/{name} is missing, {who}; put it back, or restore the directory from a backup; \
         nothing was changed",
        medium.place()
    ))
}

pub(super) fn io_error(operation: &str, medium: &dyn Medium, error: &io::Error) -> Error {
    Error::Io(format!("{operation} {}: {error}{}", medium.place(), advice(error)))
}

/// What to do about an error, if that is known.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull => ": free some space there; what was acknowledged is kept",
        _ => "",
    }
}
