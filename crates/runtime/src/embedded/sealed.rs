//! The program that becomes a pod's shim, and so for a moment each container's first process.
//!
//! A container can get hold of the file that its process was started from (`/proc/<pid>/exe`, `#!/proc/self/exe`),
//! and an open file outlives the process: what is behind it must not be the host's own program. So shims are started
//! through a mount of that one file which is read-only and belongs to no mount namespace any more. It cannot be
//! written through, and nobody, in whatever namespace and with whatever capability, can change, copy or move a mount
//! that is in no namespace. Its pages are those of the program itself: it costs no memory, and nothing per start.
//! See `docs/adr/0007-container-start-binary.md`.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::mount::{self, NO_DEV, NO_SUID, READ_ONLY};

/// A program to start, once opened; it stays the same when the file is replaced.
pub(super) struct Sealed(OwnedFd);

impl Sealed {
    /// Opens `program` in a mount of its own. `/proc` must be the host's.
    pub(super) fn open(program: &Path) -> io::Result<Self> {
        let tree = mount::clone_tree(program)?;
        mount::set_flags(&tree, READ_ONLY | NO_SUID | NO_DEV)?;
        let itself = format!("/proc/self/fd/{}", tree.as_raw_fd());
        let held = File::options().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(itself)?;
        // With its first descriptor the mount leaves its namespace; the second one keeps it alive.
        drop(tree);
        Ok(Self(held.into()))
    }

    /// A path for this process's children to execute.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn can_be_run_and_neither_written_nor_changed() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::copy("/bin/true", &program).unwrap();
        let sealed = Sealed::open(&program).unwrap();
        // Replaced, as by an upgrade: the old one goes on.
        std::fs::rename(&program, dir.path().join("old")).unwrap();
        std::fs::write(&program, "new").unwrap();
        for write in [File::options().write(true).open(sealed.path()), File::options().append(true).open(sealed.path())] {
            assert_eq!(write.unwrap_err().raw_os_error(), Some(libc::EROFS));
        }
        let held = File::open(sealed.path()).unwrap();
        assert_eq!(mount::set_flags(&held, mount::NO_EXEC), Err(Errno::EINVAL), "its flags are for ever");
        assert_eq!(mount::clone_of(&held).unwrap_err(), Errno::EINVAL, "it cannot be mounted again");
        let place = File::create(dir.path().join("place")).unwrap();
        assert_eq!(mount::attach(&held.into(), &place), Err(Errno::EINVAL), "nor moved");
        assert!(std::process::Command::new(sealed.path()).status().unwrap().success());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(dir.path().to_str().unwrap()));
    }
}
