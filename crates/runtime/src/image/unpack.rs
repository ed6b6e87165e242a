//! A layer's tar stream into a directory that overlayfs can use as a lower one.
//!
//! Every name is resolved inside the target directory ([`Root`]), so neither `..` nor links, absolute ones included,
//! lead out of it. Deletions (`.wh.` files) become overlayfs whiteouts. Directories that the layer does not name are as
//! those that it has below it ([`Below`]).

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, makedev, mkdirat, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{linkat, symlinkat};
use tar::{Archive, Entry, EntryType};

use super::attributes::{self, directory_at, make_opaque, mode_of, set_owner, set_xattrs};
use super::below::Below;
use super::stage::Room;
use crate::root::Root;
use crate::tree;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Names that AUFS kept for itself; of them only [`OPAQUE`] means anything.
const AUFS: &[u8] = b".wh..wh.";
/// Most bytes of all headers of one entry: long names, extended attributes, maps of sparse files.
const MAX_HEADERS: u64 = 1 << 20;

/// A layer in the making.
struct Target<'a> {
    root: Root,
    /// Where it is, as the kernel says it.
    place: PathBuf,
    below: &'a Below,
    made: Made,
    /// Directories in which nothing of the layers below is seen.
    opaque: Made,
    bytes: u64,
    room: &'a mut Room,
}

/// Paths that this layer itself has made: its deletions concern only the layers below. Of each there is a number alone:
/// an image may have millions of names of four kilobytes.
#[derive(Default)]
struct Made {
    hashes: RandomState,
    paths: HashSet<u64>,
}

impl Made {
    fn insert(&mut self, path: &Path) {
        self.paths.insert(self.hashes.hash_one(path));
    }

    fn contains(&self, path: &Path) -> bool {
        self.paths.contains(&self.hashes.hash_one(path))
    }
}

/// Unpacks into the empty directory `dir`, as it is to be on top of the layers `below`, within `room`; returns the bytes
/// of all files.
pub(super) fn unpack(stream: impl Read, dir: &Path, below: &Below, room: &mut Room) -> io::Result<u64> {
    let root = Root::open(dir)?;
    let (place, made, opaque) = (place_of(&root)?, Made::default(), Made::default());
    let mut target = Target { root, place, below, made, opaque, bytes: 0, room };
    if let Some(top) = below.directory(Path::new(""), target.room)? {
        attributes::like(&top, &target.resolve(Path::new("."))?, c".")?;
    }
    let left = Rc::new(Cell::new(u64::MAX));
    let mut archive = Archive::new(Metered { stream, left: left.clone() });
    let mut entries = archive.entries()?;
    loop {
        left.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { return Ok(target.bytes) };
        left.set(u64::MAX);
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        target.add(&mut entry).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        // What was not wanted of it, so that the next bytes are headers.
        io::copy(&mut entry, &mut io::sink())?;
    }
}

/// Reads at most what is left: the library keeps long names and extended attributes in memory, however long they are.
struct Metered<R> {
    stream: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer)?;
        match self.left.get().checked_sub(length as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "headers of more than a megabyte")),
        }
        Ok(length)
    }
}

/// The path without root and dots; `None` for the top itself. `..` is refused.
fn clean(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the path leads out of the layer"));
            }
        }
    }
    Ok(if out.as_os_str().is_empty() { None } else { Some(out) })
}

/// The name that a deletion is for. One for the directory itself, or for the one above, would delete what is not the
/// layer's.
fn hidden(name: &OsStr) -> io::Result<Option<&OsStr>> {
    match name.as_bytes().strip_prefix(WHITEOUT) {
        None => Ok(None),
        Some(b"" | b"." | b"..") => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("invalid whiteout {:?}", name.display())))
        }
        Some(hidden) => Ok(Some(OsStr::from_bytes(hidden))),
    }
}

impl Target<'_> {
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        self.room.entry()?;
        let Some(path) = clean(&entry.path()?)? else { return self.top(entry) };
        let (Some(name), parent) = (path.file_name(), path.parent().unwrap_or(Path::new(""))) else { return Ok(()) };
        let internal = |part: Component<'_>| part.as_os_str().as_bytes().starts_with(AUFS);
        if name.as_bytes() != OPAQUE && path.components().any(internal) {
            return Ok(());
        }
        let dir = self.directory(parent)?;
        if name.as_bytes() == OPAQUE {
            self.opaque.insert(&self.inside(&dir)?);
            return make_opaque(&dir);
        }
        if let Some(hidden) = hidden(name)? {
            return self.hide(&dir, parent, hidden);
        }
        self.create(entry, &dir, name)?;
        self.made.insert(&path);
        Ok(())
    }

    /// The layer's own root directory: its mode and owner count too.
    fn top<R: Read>(&self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let header = entry.header().clone();
        let top = self.resolve(Path::new("."))?;
        set_owner(&top, OsStr::new("."), &header)?;
        Ok(nix::sys::stat::fchmod(&top, mode_of(&header)?)?)
    }

    /// A directory of the layer, made when missing.
    fn directory(&mut self, path: &Path) -> io::Result<OwnedFd> {
        let (mut missing, mut at) = (Vec::new(), path);
        let mut dir = loop {
            match self.resolve(at) {
                // A whiteout of this layer is no directory, and gives way to one.
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                other => break other?,
            }
            missing.push(at);
            at = at.parent().unwrap_or(Path::new(""));
        };
        for path in missing.into_iter().rev() {
            self.room.entry()?;
            let name = path.file_name().unwrap_or_default();
            let replaces = make_directory(&dir, name)?;
            self.made.insert(path);
            let next = directory_at(&dir, name)?;
            self.implied(&next, replaces)?;
            dir = next;
        }
        Ok(dir)
    }

    /// A directory that had to be made and that no entry has named yet is as the one that it hides.
    fn implied(&mut self, dir: &OwnedFd, replaces: bool) -> io::Result<()> {
        let path = self.inside(dir)?;
        if replaces {
            self.opaque.insert(&path);
        }
        let hidden = path.ancestors().any(|above| self.opaque.contains(above));
        let below = if hidden { None } else { self.below.directory(&path, self.room)? };
        match below {
            Some(other) => attributes::like(&other, dir, c"."),
            // Whatever the one above it hands down, and the umask takes away.
            None => attributes::plain(dir),
        }
    }

    /// The path of one of the layer's directories without links, as they stand in the layer.
    fn inside(&self, dir: &OwnedFd) -> io::Result<PathBuf> {
        let path = place_of(dir)?;
        let inside = path.strip_prefix(&self.place).map_err(|_| io::Error::other("a directory was moved"))?;
        Ok(inside.to_owned())
    }

    fn resolve(&self, path: &Path) -> io::Result<OwnedFd> {
        Ok(self.root.find(path, OFlag::O_DIRECTORY | OFlag::O_RDONLY)?)
    }

    /// Makes a name of the layers below disappear.
    fn hide(&mut self, dir: &OwnedFd, parent: &Path, name: &OsStr) -> io::Result<()> {
        let path = parent.join(name);
        if self.made.contains(&path) {
            // It was deleted and made again. A directory must not show what the old one had.
            return match self.resolve(&path) {
                Ok(dir) => {
                    self.opaque.insert(&self.inside(&dir)?);
                    make_opaque(&dir)
                }
                Err(_) => Ok(()),
            };
        }
        tree::remove_at(dir, name)?;
        Ok(mknodat(dir, name, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0))?)
    }

    fn create<R: Read>(&mut self, entry: &mut Entry<'_, R>, dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let header = entry.header().clone();
        let mode = mode_of(&header)?;
        let kind = header.entry_type();
        if kind == EntryType::Directory {
            if make_directory(dir, name)? {
                self.opaque.insert(&self.inside(&directory_at(dir, name)?)?);
            }
        } else {
            tree::remove_at(dir, name)?;
        }
        match kind {
            EntryType::Directory => {}
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let mut file = std::fs::File::from(openat(dir, name, flags, Mode::from_bits_truncate(0o600))?);
                self.bytes += self.room.copy(&mut *entry, &mut file)?;
            }
            EntryType::Symlink => symlinkat(&*link_of(entry)?, dir, name)?,
            EntryType::Link => return self.hard_link(&link_of(entry)?, dir, name),
            EntryType::Char | EntryType::Block | EntryType::Fifo => special(&header, dir, name)?,
            // Headers of other sorts carry no file.
            _ => return Ok(()),
        }
        set_owner(dir, name, &header)?;
        if kind != EntryType::Symlink {
            // After the owner: changing that clears set-user-id.
            nix::sys::stat::fchmodat(dir, name, mode, nix::sys::stat::FchmodatFlags::FollowSymlink)?;
        }
        set_xattrs(entry, dir, name)?;
        let time = TimeSpec::new(header.mtime().unwrap_or(0).try_into().unwrap_or(0), 0);
        Ok(utimensat(dir, name, &time, &time, UtimensatFlags::NoFollowSymlink)?)
    }

    fn hard_link(&self, to: &Path, dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let to = clean(to)?.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a link to the top"))?;
        let from = self.resolve(to.parent().unwrap_or(Path::new("")))?;
        Ok(linkat(&from, to.file_name().unwrap_or_default(), dir, name, AtFlags::empty())?)
    }
}

fn link_of<R: Read>(entry: &Entry<'_, R>) -> io::Result<PathBuf> {
    let link = entry.link_name()?.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a link to nothing"))?;
    Ok(link.into_owned())
}

/// A directory; one that stands on a whiteout of its own layer replaces the lower one. Whether it does.
fn make_directory(dir: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    match mkdirat(dir, name, Mode::from_bits_truncate(0o755)) {
        Err(Errno::EEXIST) => {}
        other => return Ok(other.map(|()| false)?),
    }
    let stat = nix::sys::stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    if kind == SFlag::S_IFDIR {
        return Ok(false);
    }
    let whiteout = kind == SFlag::S_IFCHR && stat.st_rdev == 0;
    tree::remove_at(dir, name)?;
    mkdirat(dir, name, Mode::from_bits_truncate(0o755))?;
    if whiteout {
        make_opaque(&directory_at(dir, name)?)?;
    }
    Ok(true)
}

/// Where an open directory is, as the kernel says it: without links.
fn place_of(dir: impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()))
}

fn special(header: &tar::Header, dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let kind = match header.entry_type() {
        EntryType::Char => SFlag::S_IFCHR,
        EntryType::Block => SFlag::S_IFBLK,
        _ => SFlag::S_IFIFO,
    };
    let number = makedev(header.device_major()?.unwrap_or(0).into(), header.device_minor()?.unwrap_or(0).into());
    Ok(mknodat(dir, name, kind, Mode::from_bits_truncate(0o600), number)?)
}
