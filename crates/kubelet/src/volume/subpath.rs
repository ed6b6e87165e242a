//! `subPath`: a part of a volume, safe against links that lead out of it.
//!
//! The part is opened without leaving the volume and bound to a place of the kubelet's own, so
//! that the container cannot exchange it afterwards.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

use super::{at, tmpfs};

/// Binds `volume/part` to `target` and returns `target`; directories that are missing are made.
pub fn bind(volume: &Path, part: &str, target: &Path) -> Result<PathBuf, String> {
    if Path::new(part).components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("subPath {part:?} must be a relative path without '..'"));
    }
    if is_bound(target) {
        return Ok(target.to_owned());
    }
    let file = open_inside(volume, part).map_err(|e| format!("failed to prepare subPath {part:?}: {e}"))?;
    let kind = SFlag::from_bits_truncate(fstat(&file).map_err(|e| e.to_string())?.st_mode);
    let parent = target.parent().unwrap_or(target);
    fs::create_dir_all(parent).map_err(at(parent))?;
    if kind.contains(SFlag::S_IFDIR) {
        fs::create_dir_all(target).map_err(at(target))?;
    } else {
        fs::File::create(target).map_err(at(target))?;
    }
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    mount(Some(source.as_str()), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(|error| format!("binding subPath {part:?}: {error}"))?;
    Ok(target.to_owned())
}

fn is_bound(target: &Path) -> bool {
    target.exists() && (tmpfs::is_mount_point(target) || super::take_down::mounts_below(target).contains(&target.to_owned()))
}

fn open_inside(volume: &Path, part: &str) -> Result<OwnedFd, Errno> {
    let base = open(volume, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let how = || OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_BENEATH);
    match openat2(&base, part, how()) {
        Err(Errno::ENOENT) => {}
        other => return other,
    }
    let mode = fs::metadata(volume).map_or(0o750, |m| m.permissions().mode() & 0o777);
    let mut dir = base;
    for name in Path::new(part).components().filter(|c| matches!(c, Component::Normal(_))) {
        let name = name.as_os_str();
        match mkdirat(&dir, name, Mode::from_bits_truncate(mode)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
        dir = openat2(&dir, name, how())?;
    }
    Ok(dir)
}
