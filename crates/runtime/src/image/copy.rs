//! Copies a directory of an image, with owners, rights, times, attributes, links and devices.
//!
//! No link is followed and no path is built: what the image holds cannot lead elsewhere. Names of one file stay names of
//! one file.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat, mknodat};
use nix::unistd::{linkat, symlinkat};

use super::attributes::{directory_at, like};
use super::stage::Room;

/// Deepest tree that is copied: each level keeps two descriptors.
const MAX_DEPTH: usize = 200;
/// Of deeper trees only one is copied at a time: the descriptors of the process are for others, too.
const SHALLOW: usize = 20;
/// See [`SHALLOW`].
static DEEP: Mutex<()> = Mutex::new(());

/// Which file it is.
pub(super) type Which = (libc::dev_t, libc::ino_t);

/// Copies into directories of the node.
pub(super) struct Copier<'a> {
    /// What there is room for.
    pub room: &'a mut Room,
    /// An empty directory on the file system of the copies, for one name of each file that has several.
    pub names: OwnedFd,
}

/// A directory that is being copied.
struct Level {
    entries: OwningIter,
    to: OwnedFd,
}

impl Level {
    fn new(from: OwnedFd, to: OwnedFd) -> nix::Result<Self> {
        Ok(Self { entries: Dir::from_fd(from)?.into_iter(), to })
    }

    /// The directory that `entries` are of.
    fn from(&self) -> BorrowedFd<'_> {
        // SAFETY: the iterator owns the descriptor and lives as long as what is borrowed from it.
        unsafe { BorrowedFd::borrow_raw(self.entries.as_raw_fd()) }
    }
}

impl Copier<'_> {
    /// Copies what is in `from` into `to`, which becomes like it; of the directories `empty` only that they are there.
    pub(super) fn copy(&mut self, from: impl AsFd, to: &Path, empty: &HashSet<Which>) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let to = open(to, flags, Mode::empty())?;
        let mut deep = None;
        let mut levels = vec![Level::new(openat(from, ".", flags, Mode::empty())?, to)?];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                like(level.from(), &level.to, c".")?;
                levels.pop();
                continue;
            };
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = fstatat(level.from(), name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            self.room.entry()?;
            if kind(&stat) != SFlag::S_IFDIR {
                self.file(level, name, &stat)?;
                continue;
            }
            mkdirat(&level.to, name, Mode::S_IRWXU)?;
            if empty.contains(&(stat.st_dev, stat.st_ino)) {
                like(level.from(), &level.to, name)?;
                continue;
            }
            let name = OsStr::from_bytes(name.to_bytes());
            let next = Level::new(directory_at(level.from(), name)?, directory_at(&level.to, name)?)?;
            if levels.len() >= SHALLOW && deep.is_none() {
                deep = Some(DEEP.lock().unwrap_or_else(PoisonError::into_inner));
            }
            if levels.len() >= MAX_DEPTH {
                return Err(io::Error::other(format!("its directories are more than {MAX_DEPTH} deep")));
            }
            levels.push(next);
        }
        Ok(())
    }

    fn file(&mut self, level: &Level, name: &CStr, stat: &FileStat) -> io::Result<()> {
        let known = format!("{}-{}", stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1 {
            match linkat(&self.names, known.as_str(), &level.to, name, AtFlags::empty()) {
                // The first of its names; or it has more of them than one file can have.
                Err(Errno::ENOENT | Errno::EMLINK) => {}
                other => return Ok(other?),
            }
        }
        match kind(stat) {
            SFlag::S_IFREG => self.content(level, name)?,
            SFlag::S_IFLNK => symlinkat(&*readlinkat(level.from(), name)?, &level.to, name)?,
            other => mknodat(&level.to, name, other, Mode::empty(), stat.st_rdev)?,
        }
        like(level.from(), &level.to, name)?;
        if stat.st_nlink > 1 {
            match linkat(&level.to, name, &self.names, known.as_str(), AtFlags::empty()) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn content(&mut self, level: &Level, name: &CStr) -> io::Result<()> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let from = openat(level.from(), name, flags | OFlag::O_RDONLY, Mode::empty())?;
        let new = flags | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut to = File::from(openat(&level.to, name, new, Mode::S_IRUSR | Mode::S_IWUSR)?);
        self.room.copy(&File::from(from), &mut to).map(drop)
    }
}

/// Which file an open place is.
pub(super) fn which(place: impl AsFd) -> nix::Result<Which> {
    fstat(place).map(|stat| (stat.st_dev, stat.st_ino))
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Copies a file of a thousand bytes that has three names, with this room.
    fn copy(bytes: u64, entries: u64, names: usize) -> io::Result<u64> {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        for name in ["from/a/b", "to", "names"] {
            fs::create_dir_all(place(name)).unwrap();
        }
        fs::write(place("from/file"), [1; 1000]).unwrap();
        for number in 1..names {
            fs::hard_link(place("from/file"), place(&format!("from/a/b/{number}"))).unwrap();
        }
        let open = |name: &str| open(&place(name), OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        let mut room = Room::at_most(dir.path(), bytes, entries);
        Copier { room: &mut room, names: open("names") }.copy(open("from"), &place("to"), &HashSet::new())?;
        let copy = |name: &str| fs::metadata(place("to").join(name)).unwrap();
        if names > 1 {
            assert_eq!(std::os::unix::fs::MetadataExt::ino(&copy("a/b/1")), std::os::unix::fs::MetadataExt::ino(&copy("file")));
        }
        Ok(copy("file").len())
    }

    #[test]
    fn a_copy_takes_no_more_than_there_is_and_a_file_with_many_names_once() {
        assert_eq!(copy(1000, 3, 1).unwrap(), 1000);
        assert_eq!(copy(1000, 102, 100).unwrap(), 1000);
        let error = |bytes, entries, names| copy(bytes, entries, names).unwrap_err().to_string();
        assert!(error(999, 9, 1).contains("more bytes than there is room for"));
        assert!(error(1000, 101, 100).contains("more files than there is room for"));
    }
}
