//! Removing a tree that somebody else has filled.
//!
//! Containers and images make directories as deep as they like, deeper than a stack, or the table of open files, has
//! room for: one that descends into them ends the process. Here nothing is deeper than two: what a directory holds is
//! moved to the top and taken in turn.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Removes a file, or a directory with everything in it; none is no error. Links are removed and not followed.
/// A mount there or below is an error (`EXDEV`, `EBUSY`): what it holds belongs to others.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} has no name", path.display())));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(dir) => remove_at(&dir, name),
        Err(Errno::ENOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// [`remove_tree`] of a name in an open directory.
pub(crate) fn remove_at(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EISDIR) => {}
        Err(e) => return Err(e.into()),
    }
    Emptying::new(below(dir, name)?).run()?;
    match unlinkat(dir, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Opens a directory in a directory, unless it is a link or a mount.
fn below(dir: impl AsFd, name: &(impl nix::NixPath + ?Sized)) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat2(dir.as_fd(), name, OpenHow::new().flags(flags).resolve(resolve))
}

struct Emptying {
    top: OwnedFd,
    /// Nobody else's names begin with it.
    mark: String,
    moved: u64,
}

impl Emptying {
    fn new(top: OwnedFd) -> Self {
        Self { top, mark: uuid::Uuid::new_v4().simple().to_string(), moved: 0 }
    }

    fn run(mut self) -> nix::Result<()> {
        // Again, until a look finds nothing: what was moved may have come behind the look.
        loop {
            let mut found = false;
            for name in names(&self.top)? {
                found = true;
                self.remove(&name?)?;
            }
            if !found {
                return Ok(());
            }
        }
    }

    /// Removes a name of the top.
    fn remove(&mut self, name: &CString) -> nix::Result<()> {
        match unlinkat(&self.top, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR) => {}
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e),
        }
        let dir = below(&self.top, name.as_c_str())?;
        loop {
            let mut found = false;
            for entry in names(&dir)? {
                found = true;
                self.raise(&dir, &entry?)?;
            }
            if !found {
                return unlinkat(&self.top, name.as_c_str(), UnlinkatFlags::RemoveDir);
            }
        }
    }

    /// Removes a name one level down, or moves it to the top.
    fn raise(&mut self, dir: &OwnedFd, name: &CString) -> nix::Result<()> {
        match unlinkat(dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR) => {}
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e),
        }
        match unlinkat(dir, name.as_c_str(), UnlinkatFlags::RemoveDir) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e),
        }
        self.moved += 1;
        let fresh = format!("{}-{}", self.mark, self.moved);
        renameat(dir, name.as_c_str(), &self.top, fresh.as_str())
    }
}

/// The names in a directory.
fn names(dir: &OwnedFd) -> nix::Result<impl Iterator<Item = nix::Result<CString>> + use<>> {
    let all = Dir::from_fd(below(dir, ".")?)?.into_iter();
    let own = |name: &CString| name.as_bytes() == b"." || name.as_bytes() == b"..";
    Ok(all
        .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
        .filter(move |name| !name.as_ref().is_ok_and(own)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn nest(top: &Path, depth: usize) {
        fs::create_dir_all(top).unwrap();
        let mut at = open(top, OFlag::O_DIRECTORY | OFlag::O_RDONLY, Mode::empty()).unwrap();
        for _ in 0..depth {
            nix::sys::stat::mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
            at = below(&at, "d").unwrap();
        }
    }

    #[test]
    fn a_deep_tree_goes_on_a_small_stack() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        nest(&top, 500);
        nest(&top.join("x/y"), 30);
        fs::write(top.join("x/file"), "").unwrap();
        symlink(dir.path(), top.join("x/link")).unwrap();
        let path = top.clone();
        let small = std::thread::Builder::new().stack_size(64 << 10).spawn(move || remove_tree(&path));
        small.unwrap().join().unwrap().unwrap();
        assert!(!top.exists() && dir.path().exists(), "the link was not followed");
        remove_tree(&top).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        symlink("/", dir.path().join("root")).unwrap();
        remove_tree(&file).unwrap();
        remove_tree(&dir.path().join("root")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_mount_below_is_left_alone() {
        assert!(nix::unistd::geteuid().is_root(), "mounts need root");
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("file"), "").unwrap();
        let place = dir.path().join("top/a/b");
        fs::create_dir_all(&place).unwrap();
        let bind = nix::mount::MsFlags::MS_BIND;
        nix::mount::mount(Some(other.path()), &place, None::<&str>, bind, None::<&str>).unwrap();
        let refused = remove_tree(&dir.path().join("top"));
        let itself = remove_tree(&place);
        nix::mount::umount2(&place, nix::mount::MntFlags::MNT_DETACH).unwrap();
        assert!(refused.is_err() && itself.is_err() && other.path().join("file").exists());
        assert!(remove_tree(Path::new("/")).is_err() && remove_tree(&dir.path().join("..")).is_err());
        remove_tree(&dir.path().join("none/at/all")).unwrap();
        remove_tree(&dir.path().join("top")).unwrap();
    }
}
