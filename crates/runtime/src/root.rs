//! Paths inside a tree that somebody else fills: a container's root, a volume, a layer.
//!
//! The kernel itself resolves every path below the directory (`openat2`), so that no link, no `..` and no rename by
//! a running process leads out of it, and the magic links of `/proc` lead nowhere. What is found is held as a
//! descriptor and used by descriptor: between look and use nothing can be exchanged.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};

/// How often a look-up is tried again that a rename somewhere on the machine has disturbed (`EAGAIN`).
const TRIES: u32 = 128;
/// Most links to places that are not there yet, as the kernel's limit for links on one path.
const MAX_LINKS: u32 = 40;

/// A directory below which all paths are resolved.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    resolve: ResolveFlag,
}

/// What to make where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// An empty file.
    File,
}

impl Root {
    /// For a tree that is somebody's whole world: an absolute link starts at `dir`, and `..` stops there.
    pub fn open(dir: &Path) -> nix::Result<Self> {
        Self::new(dir, ResolveFlag::RESOLVE_IN_ROOT)
    }

    /// For a part of a larger tree: a link that leads out of `dir` is an error (`EXDEV`).
    pub fn strict(dir: &Path) -> nix::Result<Self> {
        Self::new(dir, ResolveFlag::RESOLVE_BENEATH)
    }

    fn new(dir: &Path, resolve: ResolveFlag) -> nix::Result<Self> {
        let dir = open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Self { dir, resolve: resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS })
    }

    /// Opens what is at `path`; links are followed, inside.
    pub fn find(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        self.resolve(path, flags, self.resolve)
    }

    /// Opens what is at `path` as a place, where no part of the path is a link (else `ELOOP`).
    pub(crate) fn find_plain(&self, path: &Path) -> nix::Result<OwnedFd> {
        self.resolve(path, OFlag::O_PATH, self.resolve | ResolveFlag::RESOLVE_NO_SYMLINKS)
    }

    /// Opens a directory of the tree's own file system, below no link and no mount; made when missing.
    /// `ENOTDIR` or `ELOOP` when something else has its name.
    pub fn plain_directory(&self, name: &str) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
        match self.resolve(Path::new(name), flags, resolve) {
            Err(Errno::ENOENT) => {}
            other => return other,
        }
        mkdirat(&self.dir, name, Mode::from_bits_truncate(0o755))?;
        self.resolve(Path::new(name), flags, resolve)
    }

    /// Opens what is at `path` as a place (`O_PATH`); where nothing is, it is made, with the directories above it
    /// and what dangling links on the way point to. The umask applies to `mode`.
    pub fn make(&self, path: &Path, kind: Kind, mode: u32) -> nix::Result<OwnedFd> {
        self.make_with(path, kind, mode, |_, _| Ok(()))
    }

    /// [`Root::make`] of a directory; each one that is made has exactly this mode, whatever the umask is.
    pub fn make_directories(&self, path: &Path, mode: u32) -> nix::Result<OwnedFd> {
        self.make_with(path, Kind::Directory, mode & 0o777, |parent, name| {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            fchmod(openat(parent, name, flags, Mode::empty())?, Mode::from_bits_truncate(mode))
        })
    }

    /// `made` is called with the parent and the name of everything that is made.
    fn make_with(
        &self, path: &Path, kind: Kind, mode: u32, made: impl Fn(&OwnedFd, &OsStr) -> nix::Result<()>,
    ) -> nix::Result<OwnedFd> {
        match self.find(path, OFlag::O_PATH) {
            Err(Errno::ENOENT) => {}
            other => return other,
        }
        let mut todo: VecDeque<OsString> = parts(path);
        let (mut done, mut links) = (PathBuf::from("."), 0);
        while let Some(name) = todo.pop_front() {
            let next = done.join(&name);
            match self.find(&next, OFlag::O_PATH) {
                Err(Errno::ENOENT) => {}
                Err(e) => return Err(e),
                Ok(_) => {
                    done = next;
                    continue;
                }
            }
            let parent = self.find(&done, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
            match create(&parent, &name, if todo.is_empty() { kind } else { Kind::Directory }, mode) {
                Ok(()) => {
                    made(&parent, &name)?;
                    done = next;
                }
                Err(Errno::EEXIST) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::ELOOP);
                    }
                    // Something is there now, and was not when it was looked for: a link to nothing, or what somebody
                    // has just made. What may not be followed is an error here: only its text could be read.
                    match self.find(&next, OFlag::O_PATH) {
                        Ok(_) => done = next,
                        Err(Errno::ENOENT) => {
                            let target = readlinkat(&parent, name.as_os_str())?;
                            done = self.splice(Path::new(&target), done, &mut todo)?;
                        }
                        Err(e) => return Err(e),
                    }
                }
                Err(e) => return Err(e),
            }
        }
        self.find(&done, OFlag::O_PATH)
    }

    /// Goes on along a link that points to nothing yet.
    fn splice(&self, target: &Path, done: PathBuf, todo: &mut VecDeque<OsString>) -> nix::Result<PathBuf> {
        let absolute = target.is_absolute();
        if absolute && self.resolve.contains(ResolveFlag::RESOLVE_BENEATH) {
            return Err(Errno::EXDEV);
        }
        for part in parts(target).into_iter().rev() {
            todo.push_front(part);
        }
        Ok(if absolute { PathBuf::from(".") } else { done })
    }

    /// The path at which something is that stands at `path`, or would: without links and dots, as far as it is there. Good
    /// for nothing but comparing: what is there may be exchanged.
    pub(crate) fn resolved(&self, path: &Path) -> PathBuf {
        let (mut todo, mut done, mut links) = (parts(path), PathBuf::from("/"), 0);
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&name);
            let here = next.strip_prefix("/").unwrap_or(&next);
            let place = self.resolve(here, OFlag::O_PATH | OFlag::O_NOFOLLOW, self.resolve);
            // What is no link has no text.
            match place.and_then(|place| readlinkat(place, "")) {
                Ok(target) if links < MAX_LINKS => {
                    links += 1;
                    let target = PathBuf::from(target);
                    parts(&target).into_iter().rev().for_each(|part| todo.push_front(part));
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                }
                _ => done = next,
            }
        }
        done
    }

    /// Reads a regular file of at most `limit` bytes. Anything else that could block or never end is an error.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.find(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)?;
        if fstat(&file)?.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut bytes = Vec::new();
        if File::from(file).take(limit + 1).read_to_end(&mut bytes)? as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
        }
        Ok(bytes)
    }

    fn resolve(&self, path: &Path, flags: OFlag, resolve: ResolveFlag) -> nix::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let mut tries = 0;
        loop {
            match openat2(&self.dir, path, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve)) {
                Err(Errno::EAGAIN) if tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// An absolute path without dots, by its text alone (Go: `filepath.Clean`).
pub fn absolute(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => drop(out.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    names.map(|part| part.as_os_str().to_owned()).collect()
}

fn create(dir: &OwnedFd, name: &OsString, kind: Kind, mode: u32) -> nix::Result<()> {
    let mode = Mode::from_bits_truncate(mode);
    match kind {
        Kind::Directory => mkdirat(dir, name.as_os_str(), mode),
        Kind::File => {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(dir, name.as_os_str(), flags, mode & Mode::from_bits_truncate(0o666)).map(drop)
        }
    }
}

/// Which file a descriptor stands for: its mount, and its inode there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    mount: u64,
    inode: u64,
}

impl Identity {
    /// Of an open file or place.
    pub(crate) fn of(file: impl AsFd) -> nix::Result<Self> {
        let wanted = libc::STATX_INO | libc::STATX_MNT_ID;
        // SAFETY: all zeros is a valid value of this plain structure.
        let mut found: libc::statx = unsafe { std::mem::zeroed() };
        // SAFETY: the path is terminated, the structure is a whole one, and both outlive the call.
        let done = unsafe {
            libc::statx(file.as_fd().as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, wanted, &raw mut found)
        };
        Errno::result(done)?;
        Ok(Self { mount: found.stx_mnt_id, inode: found.stx_ino })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("a/root");
        fs::create_dir_all(top.join("etc")).unwrap();
        fs::write(top.join("etc/passwd"), "inside").unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        (dir, top)
    }

    #[test]
    fn links_end_inside_and_magic_links_nowhere() {
        let (dir, top) = tree();
        symlink("/etc", top.join("absolute")).unwrap();
        symlink("../../../../etc", top.join("up")).unwrap();
        symlink(format!("/proc/self/fd/{}", File::open(dir.path()).unwrap().as_raw_fd()), top.join("magic")).unwrap();
        let root = Root::open(&top).unwrap();
        for path in ["/absolute/passwd", "up/passwd", "/../../etc/passwd"] {
            assert_eq!(root.read(Path::new(path), 99).unwrap(), b"inside", "{path}");
        }
        let all = Root::open(Path::new("/")).unwrap();
        for path in ["/proc/self/root", "/proc/self/cwd", "/proc/self/fd/0", "/proc/self/exe"] {
            assert_eq!(all.find(Path::new(path), OFlag::O_PATH).unwrap_err(), Errno::ELOOP, "{path}");
        }
        let strict = Root::strict(&top).unwrap();
        for path in ["absolute/passwd", "up/passwd", "../x", "/etc/passwd"] {
            assert_eq!(strict.find(Path::new(path), OFlag::O_PATH).unwrap_err(), Errno::EXDEV, "{path}");
        }
    }

    #[test]
    fn what_is_missing_is_made_inside() {
        let (dir, top) = tree();
        symlink("/run", top.join("var")).unwrap();
        symlink("../../outside/new", top.join("etc/out")).unwrap();
        symlink("loop2", top.join("loop1")).unwrap();
        symlink("loop1", top.join("loop2")).unwrap();
        let root = Root::open(&top).unwrap();
        root.make(Path::new("/var/lock/x"), Kind::Directory, 0o755).unwrap();
        assert!(top.join("run/lock/x").is_dir(), "through a link to what was not there");
        root.make(Path::new("/etc/out/file"), Kind::File, 0o644).unwrap();
        assert!(top.join("outside/new/file").is_file() && fs::read_dir(dir.path().join("outside")).unwrap().count() == 0);
        root.make(Path::new("/q/../../w"), Kind::Directory, 0o755).unwrap();
        assert!(top.join("w").is_dir());
        assert_eq!(root.make(Path::new("/loop1/x"), Kind::File, 0o644).unwrap_err(), Errno::ELOOP);
        assert_eq!(root.make(Path::new("/etc/passwd/x"), Kind::File, 0o644).unwrap_err(), Errno::ENOTDIR);
        let strict = Root::strict(&top).unwrap();
        assert_eq!(strict.make(Path::new("etc/out/b"), Kind::File, 0o644).unwrap_err(), Errno::EXDEV);
    }

    #[test]
    fn a_path_is_told_without_links_as_far_as_it_is_there() {
        let (_dir, top) = tree();
        for (target, link) in [("/etc", "var"), ("../../etc/./passwd", "etc/up"), ("none/deep", "loose"), ("loop", "loop")] {
            symlink(target, top.join(link)).unwrap();
        }
        let root = Root::open(&top).unwrap();
        for (path, expected) in [
            ("/var", "/etc"), ("var/x/y", "/etc/x/y"), ("/etc/up", "/etc/passwd"), ("loose/../a", "/none/a"), ("//etc/.", "/etc"),
            ("/etc/passwd/x", "/etc/passwd/x"), ("../../var/..", "/"), ("", "/"), ("/loop/x", "/loop/x"), ("/new", "/new"),
        ] {
            assert_eq!(root.resolved(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn every_directory_that_is_made_has_the_mode_and_no_other() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, top) = tree();
        symlink("gone/far", top.join("link")).unwrap();
        fs::set_permissions(top.join("etc"), fs::Permissions::from_mode(0o711)).unwrap();
        let root = Root::strict(&top).unwrap();
        for path in ["a/b/c", "etc/deep/er", "link/x"] {
            root.make_directories(Path::new(path), 0o3777).unwrap();
        }
        let mode = |path: &str| fs::metadata(top.join(path)).unwrap().permissions().mode() & 0o7777;
        for path in ["a", "a/b", "a/b/c", "etc/deep", "etc/deep/er", "gone", "gone/far", "gone/far/x"] {
            assert_eq!(mode(path), 0o3777, "{path}");
        }
        assert_eq!(mode("etc"), 0o711, "it was there");
    }

    #[test]
    fn plain_directories_are_no_links() {
        let (_dir, top) = tree();
        symlink("etc", top.join("proc")).unwrap();
        fs::write(top.join("sys"), "").unwrap();
        let root = Root::open(&top).unwrap();
        assert!(matches!(root.plain_directory("proc").unwrap_err(), Errno::ENOTDIR | Errno::ELOOP));
        assert_eq!(root.plain_directory("sys").unwrap_err(), Errno::ENOTDIR);
        root.plain_directory("dev").unwrap();
        assert!(top.join("dev").is_dir());
    }

    #[test]
    fn reads_neither_pipes_nor_without_end() {
        let (_dir, top) = tree();
        nix::unistd::mkfifo(&top.join("pipe"), Mode::S_IRUSR).unwrap();
        let root = Root::open(&top).unwrap();
        assert_eq!(root.read(Path::new("pipe"), 9).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(root.read(Path::new("etc/passwd"), 5).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
