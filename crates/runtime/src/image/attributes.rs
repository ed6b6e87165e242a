//! Owner, mode, times and extended attributes of a layer's files.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, fstatat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat};
use tar::Entry;

const XATTR: &str = "SCHILY.xattr.";
/// Says to overlayfs that nothing of the layers below is seen in a directory.
const OPAQUE: &CStr = c"trusted.overlay.opaque";
/// The kernel's own limit for the names, and for the value, of a file's attributes, in bytes.
const MAX_XATTR: usize = 64 << 10;

/// The rights in a header.
pub(super) fn mode_of(header: &tar::Header) -> io::Result<Mode> {
    Ok(Mode::from_bits_truncate(header.mode()? & 0o7777))
}

/// Gives a name to the owner that a header says; no link is followed.
pub(super) fn set_owner(dir: &OwnedFd, name: &OsStr, header: &tar::Header) -> io::Result<()> {
    let owner = |id: u64| u32::try_from(id).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "owner too large"));
    let (user, group) = (Uid::from_raw(owner(header.uid()?)?), Gid::from_raw(owner(header.gid()?)?));
    Ok(fchownat(dir, name, Some(user), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// Extended attributes (file capabilities, mostly) of a tar entry.
pub(super) fn set_xattrs<R: Read>(entry: &mut Entry<'_, R>, dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
    let path = by_path(dir, name)?;
    for extension in extensions {
        let extension = extension?;
        let Some(key) = extension.key().ok().and_then(|key| key.strip_prefix(XATTR)) else { continue };
        set_xattr(&path, &CString::new(key)?, extension.value_bytes())?;
    }
    Ok(())
}

/// Gives a file the extended attributes of another, but overlayfs's; names are not followed where they are links.
fn copy_xattrs(from: &CStr, to: &CStr) -> io::Result<()> {
    let mut names = vec![0_u8; MAX_XATTR];
    // SAFETY: the path is terminated, the buffer has the length that is passed.
    let length = unsafe { libc::llistxattr(from.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    let length = match Errno::result(length) {
        Err(Errno::EOPNOTSUPP) => return Ok(()),
        other => usize::try_from(other?).unwrap_or(0),
    };
    let mut value = vec![0_u8; MAX_XATTR];
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        // SAFETY: both strings are terminated, the buffer has the length that is passed.
        let length = unsafe { libc::lgetxattr(from.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
        match Errno::result(length) {
            // Some are only listed.
            Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::EPERM) => {}
            other => set_xattr(to, name, &value[..usize::try_from(other?).unwrap_or(0)])?,
        }
    }
    Ok(())
}

/// A name in a directory as a path: the calls for attributes have no form with a directory descriptor, and must not
/// follow links.
fn by_path(dir: impl AsFd, name: &OsStr) -> io::Result<CString> {
    let mut path = OsString::from(format!("/proc/self/fd/{}/", dir.as_fd().as_raw_fd()));
    path.push(name);
    Ok(CString::new(path.as_bytes())?)
}

fn set_xattr(path: &CStr, key: &CStr, value: &[u8]) -> io::Result<()> {
    // overlayfs's own would let an image reach into other layers.
    if [&b"trusted.overlay."[..], b"user.overlay."].iter().any(|own| key.to_bytes().starts_with(own)) {
        return Ok(());
    }
    // SAFETY: both strings are terminated, the value has the length that is passed.
    let done = unsafe { libc::lsetxattr(path.as_ptr(), key.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    match Errno::result(done) {
        // A file system that knows no such attribute, as with every other runtime.
        Ok(_) | Err(Errno::EOPNOTSUPP) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Gives a name in the directory `to` the owner, rights, times and attributes of the same name in the directory `from`
/// (containerd: `copyDirInfo`, `copyUpXAttrs`). Links are not followed.
pub(super) fn like(from: impl AsFd, to: impl AsFd, name: &CStr) -> io::Result<()> {
    let (from, to) = (from.as_fd(), to.as_fd());
    let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fchownat(to, name, Some(user), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFLNK.bits() {
        // After the owner: changing that clears set-user-id.
        let mode = Mode::from_bits_truncate(stat.st_mode & 0o7777);
        fchmodat(to, name, mode, FchmodatFlags::FollowSymlink)?;
    }
    let os_name = OsStr::from_bytes(name.to_bytes());
    copy_xattrs(&by_path(from, os_name)?, &by_path(to, os_name)?)?;
    let (access, change) =
        (TimeSpec::new(stat.st_atime, stat.st_atime_nsec), TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec));
    Ok(utimensat(to, name, &access, &change, UtimensatFlags::NoFollowSymlink)?)
}

/// Makes a directory root's, and readable for all.
pub(super) fn plain(dir: &OwnedFd) -> io::Result<()> {
    fchown(dir, Some(Uid::from_raw(0)), Some(Gid::from_raw(0)))?;
    Ok(fchmod(dir, Mode::from_bits_truncate(0o755))?)
}

/// Makes a directory hide what the layers below have in it.
pub(super) fn make_opaque(dir: &OwnedFd) -> io::Result<()> {
    // SAFETY: both strings are terminated, the value has the length that is passed.
    let done = unsafe { libc::fsetxattr(dir.as_raw_fd(), OPAQUE.as_ptr(), c"y".as_ptr().cast(), 1, 0) };
    Ok(Errno::result(done).map(drop)?)
}

/// Whether a directory does so.
pub(super) fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0_u8; 1];
    // SAFETY: the string is terminated, the buffer has the length that is passed.
    let length = unsafe { libc::fgetxattr(dir.as_raw_fd(), OPAQUE.as_ptr(), value.as_mut_ptr().cast(), 1) };
    length == 1 && value == *b"y"
}

/// Opens a directory in a directory, unless it is a link.
pub(super) fn directory_at(dir: impl AsFd, name: &OsStr) -> nix::Result<OwnedFd> {
    openat(dir, name, OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}
