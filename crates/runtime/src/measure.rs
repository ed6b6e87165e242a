//! How much of the disk a tree takes that somebody else fills.
//!
//! No path is built and no link followed, so nothing in it can lead elsewhere; other file systems and mounts in it
//! belong to others and are left out. It is read while it changes: what is moved or removed meanwhile may be missed,
//! and is found the next time.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

/// Unit of a file's blocks, bytes.
const BLOCK: u64 = 512;
/// Deepest tree that is measured: each level keeps two descriptors. What is deeper counts as more than any limit, or it
/// would be a place to hide.
const MAX_DEPTH: usize = 256;
/// Files with several names of which is remembered that they have been counted; of more, each name counts.
const MAX_LINKED: usize = 1 << 20;

/// What files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Files and directories, each once whatever names it has.
    pub files: u64,
}

impl Size {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Size) -> Size {
        Size { bytes: self.bytes.saturating_add(other.bytes), files: self.files.saturating_add(other.files) }
    }
}

/// The size of everything at `path`, a file or a directory; nothing when nothing is there. Stops as soon as there are
/// more bytes than `enough`. Blocks: for the threads that may.
pub fn tree_usage(path: &Path, enough: u64) -> io::Result<Size> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let place = match open(path, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(Size::default()),
        other => other?,
    };
    let stat = fstat(&place)?;
    let mut walk = Walk { device: stat.st_dev, enough, total: Size::default(), linked: HashSet::new() };
    walk.count(&stat);
    if is_directory(&stat) {
        walk.run(list(&place, c".")?)?;
    }
    Ok(walk.total)
}

/// A directory that is being read; it can be opened below as well.
struct Level {
    place: OwnedFd,
    entries: OwningIter,
}

struct Walk {
    device: libc::dev_t,
    enough: u64,
    total: Size,
    linked: HashSet<libc::ino_t>,
}

impl Walk {
    fn run(&mut self, top: Level) -> nix::Result<()> {
        let mut open = vec![top];
        while let Some(level) = open.last_mut() {
            if self.total.bytes > self.enough {
                return Ok(());
            }
            let Some(entry) = level.entries.next() else {
                open.pop();
                continue;
            };
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = match fstatat(&level.place, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                // Removed since it was listed.
                Err(Errno::ENOENT) => continue,
                other => other?,
            };
            if stat.st_dev != self.device {
                continue;
            }
            self.count(&stat);
            if !is_directory(&stat) {
                continue;
            }
            let next = match list(&level.place, name) {
                // Gone, exchanged for something else, or a mount.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV) => continue,
                other => other?,
            };
            if open.len() >= MAX_DEPTH {
                self.total.bytes = u64::MAX;
                return Ok(());
            }
            open.push(next);
        }
        Ok(())
    }

    fn count(&mut self, stat: &FileStat) {
        let several = stat.st_nlink > 1 && !is_directory(stat);
        if several && self.linked.len() < MAX_LINKED && !self.linked.insert(stat.st_ino) {
            return;
        }
        let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
        self.total = self.total.plus(Size { bytes, files: 1 });
    }
}

fn is_directory(stat: &FileStat) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()
}

/// Opens a directory in a directory, unless it is a link or a mount.
fn list(dir: impl AsFd, name: &std::ffi::CStr) -> nix::Result<Level> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_NOATIME | OFlag::O_CLOEXEC;
    let place = openat2(dir.as_fd(), name, OpenHow::new().flags(flags).resolve(resolve))?;
    let copy = nix::unistd::dup(&place)?;
    Ok(Level { place, entries: Dir::from_fd(copy)?.into_iter() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn usage(path: &Path) -> u64 {
        tree_usage(path, u64::MAX).unwrap().bytes
    }

    #[test]
    fn counts_blocks_once_and_stops_when_it_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        let empty = usage(&top);
        fs::write(top.join("a/b/file"), vec![1; 1 << 20]).unwrap();
        let full = usage(&top);
        assert!((1 << 20..(1 << 20) + 65536).contains(&(full - empty)), "{empty} {full}");
        fs::hard_link(top.join("a/b/file"), top.join("second")).unwrap();
        fs::write(dir.path().join("outside"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink(dir.path(), top.join("out")).unwrap();
        fs::File::create(top.join("sparse")).unwrap().set_len(1 << 30).unwrap();
        assert!(usage(&top) - full < 65536, "the same file, links, and what is not written count nothing");
        assert!(tree_usage(&top, 4096).unwrap().bytes < 1 << 21);
        assert_eq!(tree_usage(&top, u64::MAX).unwrap().files, 6, "top, a, b, file once, out, sparse");
        assert_eq!(usage(&dir.path().join("none")), 0);
        assert!(usage(&dir.path().join("outside")) >= 1 << 20);
    }

    #[test]
    fn nothing_hides_deep_down() {
        let dir = tempfile::tempdir().unwrap();
        let mut place = open(dir.path(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        for _ in 0..MAX_DEPTH + 1 {
            nix::sys::stat::mkdirat(&place, "d", Mode::S_IRWXU).unwrap();
            place = list(&place, c"d").unwrap().place;
        }
        assert_eq!(usage(dir.path()), u64::MAX);
        crate::remove_tree(&dir.path().join("d")).unwrap();
        assert!(usage(dir.path()) < 1 << 20);
    }
}
