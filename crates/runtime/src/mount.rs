//! Mounts by descriptor: made attached to nowhere, shaped, and then put on a place that is held open.
//! So no path is looked up at the moment of mounting. These are the calls for which there is no wrapper.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::unistd::{chdir, pivot_root};

/// `struct mount_attr` of the kernel.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Flags of a mount (`MOUNT_ATTR_…`).
pub(crate) const READ_ONLY: u64 = 0x1;
/// See [`READ_ONLY`].
pub(crate) const NO_SUID: u64 = 0x2;
/// See [`READ_ONLY`].
pub(crate) const NO_DEV: u64 = 0x4;
/// See [`READ_ONLY`].
pub(crate) const NO_EXEC: u64 = 0x8;
/// See [`READ_ONLY`].
pub(crate) const STRICT_ATIME: u64 = 0x20;

const ID_MAP: u64 = 0x10_0000;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const AT_RECURSIVE: libc::c_uint = 0x8000;
const AT_EMPTY_PATH: libc::c_uint = libc::AT_EMPTY_PATH as libc::c_uint;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// A new mount of a file system, attached nowhere; its descriptor is its top directory.
pub(crate) fn file_system(kind: &str, flags: u64, options: &str) -> nix::Result<OwnedFd> {
    let name = c_text(kind)?;
    // SAFETY: the name is a terminated string that outlives the call.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), FSOPEN_CLOEXEC) })?;
    configure(&context, FSCONFIG_SET_STRING, Some("source"), Some(kind))?;
    if flags & READ_ONLY != 0 {
        configure(&context, FSCONFIG_SET_FLAG, Some("ro"), None)?;
    }
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some((key, value)) => configure(&context, FSCONFIG_SET_STRING, Some(key), Some(value))?,
            None => configure(&context, FSCONFIG_SET_FLAG, Some(option), None)?,
        }
    }
    configure(&context, FSCONFIG_CMD_CREATE, None, None)?;
    // SAFETY: plain numbers.
    descriptor(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, flags) })
}

fn configure(context: &OwnedFd, command: libc::c_uint, key: Option<&str>, value: Option<&str>) -> nix::Result<()> {
    let (key, value) = (key.map(c_text).transpose()?, value.map(c_text).transpose()?);
    let pointer = |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
    // SAFETY: both are null or terminated strings that outlive the call.
    let done = unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, pointer(&key), pointer(&value), 0)
    };
    Errno::result(done).map(drop)
}

/// Changes the propagation of all mounts of this namespace.
pub(crate) fn propagate_all(flag: MsFlags) -> nix::Result<()> {
    nix::mount::mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | flag, None::<&str>)
}

/// Makes one mount read-only and keeps its other flags; `top` is its top directory.
pub(crate) fn make_read_only(top: impl AsFd) -> nix::Result<()> {
    set_flags(top, READ_ONLY)
}

/// Adds flags to one mount; `top` is its top directory.
pub(crate) fn set_flags(top: impl AsFd, flags: u64) -> nix::Result<()> {
    set_attributes(top, AT_EMPTY_PATH, &Attributes { set: flags, ..Default::default() })
}

/// A copy of the mounts at `source`, attached nowhere.
pub(crate) fn clone_tree(source: &Path) -> nix::Result<OwnedFd> {
    let path = CString::new(source.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC as libc::c_uint;
    // SAFETY: the path is a terminated string that outlives the call.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// A copy of the mounts at an open place, attached nowhere.
pub(crate) fn clone_of(place: impl AsFd) -> nix::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH | libc::O_CLOEXEC as libc::c_uint;
    let place = place.as_fd().as_raw_fd();
    // SAFETY: the path is a terminated string that outlives the call.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, place, c"".as_ptr(), flags) })
}

/// Sets read-only and propagation on a whole detached tree.
pub(crate) fn shape_tree(tree: &OwnedFd, read_only: bool, propagation: MsFlags) -> nix::Result<()> {
    if !propagation.is_empty() {
        let change = Attributes { propagation: propagation.bits(), ..Default::default() };
        set_attributes(tree, AT_EMPTY_PATH | AT_RECURSIVE, &change)?;
    }
    if read_only {
        // As upstream without `recursiveReadOnly`: the top mount alone.
        make_read_only(tree)?;
    }
    Ok(())
}

/// Shows a whole detached tree with the ids of a user namespace: what is 0 on the disk belongs to its root, and what
/// that one makes is 0 on the disk. `EINVAL` for a file system that cannot be shown so.
pub(crate) fn map_ids(tree: &OwnedFd, users: impl AsFd) -> nix::Result<()> {
    let users = u64::try_from(users.as_fd().as_raw_fd()).map_err(|_| Errno::EBADF)?;
    set_attributes(tree, AT_EMPTY_PATH | AT_RECURSIVE, &Attributes { set: ID_MAP, userns_fd: users, ..Default::default() })
}

/// Attaches a detached tree on an open place.
pub(crate) fn attach(tree: &OwnedFd, place: impl AsFd) -> nix::Result<()> {
    let (empty, flags) = (c"".as_ptr(), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    let (from, to) = (tree.as_raw_fd(), place.as_fd().as_raw_fd());
    // SAFETY: both paths are terminated strings that outlive the call.
    Errno::result(unsafe { libc::syscall(libc::SYS_move_mount, from, empty, to, empty, flags) }).map(drop)
}

/// Makes `root`, a mount point, the root of this mount namespace, and lets go of the old one.
pub(crate) fn pivot(root: &Path) -> nix::Result<()> {
    chdir(root)?;
    // Both the same: the old root ends up on top of the new one, and is taken off at once.
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}

fn set_attributes(top: impl AsFd, flags: libc::c_uint, attributes: &Attributes) -> nix::Result<()> {
    // SAFETY: the path is terminated, the structure has the layout and the size that are passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            top.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<Attributes>(),
        )
    };
    Errno::result(done).map(drop)
}

fn descriptor(result: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = Errno::result(result)?;
    // SAFETY: the kernel has just made this descriptor for us; descriptors fit into an int.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

fn c_text(text: &str) -> nix::Result<CString> {
    CString::new(text).map_err(|_| Errno::EINVAL)
}
