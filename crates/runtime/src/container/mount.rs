//! Mount calls with errors that name their paths, and the calls for which there is no wrapper.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;

use super::Result;
use crate::shim::wire::Failure;

/// `struct mount_attr` of the kernel.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

const MOUNT_ATTR_RDONLY: u64 = 1;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const AT_RECURSIVE: libc::c_uint = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// Mounts a file system.
pub(super) fn file_system(kind: &str, target: &Path, flags: MsFlags, options: &str) -> Result<()> {
    nix::mount::mount(Some(kind), target, Some(kind), flags, Some(options))
        .map_err(|e| Failure::system(format_args!("mount {kind} on {}", target.display()), e))
}

/// Changes the propagation of a mount.
pub(super) fn propagate(target: &Path, flags: MsFlags) -> Result<()> {
    nix::mount::mount(None::<&str>, target, None::<&str>, flags, None::<&str>)
        .map_err(|e| Failure::system(format_args!("change propagation of {}", target.display()), e))
}

/// Makes one existing mount read-only and keeps its other flags.
pub(super) fn remount_read_only(target: &Path) -> nix::Result<()> {
    set_attributes(libc::AT_FDCWD, target, 0, &Attributes { set: MOUNT_ATTR_RDONLY, ..Default::default() })
}

/// A copy of the mounts at `source`, attached nowhere.
pub(super) fn clone_tree(source: &Path) -> nix::Result<OwnedFd> {
    let path = c_path(source)?;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC as libc::c_uint;
    // SAFETY: the path is a terminated string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just made this descriptor for us; descriptors fit into an int.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sets read-only and propagation on a whole detached tree.
pub(super) fn shape_tree(tree: &OwnedFd, read_only: bool, propagation: MsFlags) -> nix::Result<()> {
    let flags = (libc::AT_EMPTY_PATH as libc::c_uint) | AT_RECURSIVE;
    if !propagation.is_empty() {
        let change = Attributes { propagation: propagation.bits(), ..Default::default() };
        set_attributes(tree.as_raw_fd(), Path::new(""), flags, &change)?;
    }
    if read_only {
        // As upstream without `recursiveReadOnly`: the top mount alone.
        let change = Attributes { set: MOUNT_ATTR_RDONLY, ..Default::default() };
        set_attributes(tree.as_raw_fd(), Path::new(""), libc::AT_EMPTY_PATH as libc::c_uint, &change)?;
    }
    Ok(())
}

/// Attaches a detached tree at `target`.
pub(super) fn attach_tree(tree: &OwnedFd, target: &Path) -> nix::Result<()> {
    let (empty, path) = (c"", c_path(target)?);
    // SAFETY: both paths are terminated strings that outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            empty.as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(done).map(drop)
}

fn set_attributes(dir: RawFd, path: &Path, flags: libc::c_uint, attributes: &Attributes) -> nix::Result<()> {
    let path = c_path(path)?;
    // SAFETY: the path is terminated, the structure has the layout and the size that are passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir,
            path.as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<Attributes>(),
        )
    };
    Errno::result(done).map(drop)
}

fn c_path(path: &Path) -> nix::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
