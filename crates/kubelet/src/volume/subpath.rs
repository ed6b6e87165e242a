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
    let mode = fs::metadata(volume).map_or(0o750, |m| m.permissions().mode() & 0o7777);
    let mut dir = base;
    for name in Path::new(part).components().filter(|c| matches!(c, Component::Normal(_))) {
        let name = name.as_os_str();
        match mkdirat(&dir, name, Mode::from_bits_truncate(mode & 0o777)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
        dir = openat2(&dir, name, how())?;
    }
    // The umask took rights away from the last one: it has those of the volume, as upstream's.
    let itself = format!("/proc/self/fd/{}", dir.as_raw_fd());
    fs::set_permissions(itself, fs::Permissions::from_mode(mode)).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0)))?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_made_with_the_volumes_rights_and_never_outside() {
        let dir = tempfile::tempdir().expect("directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o2777)).expect("allowed");
        open_inside(dir.path(), "a/b").expect("made");
        let mode = fs::metadata(dir.path().join("a/b")).expect("there").permissions().mode() & 0o7777;
        assert_eq!(mode, 0o2777);
        std::os::unix::fs::symlink("/", dir.path().join("out")).expect("linked");
        assert!(open_inside(dir.path(), "out/etc").is_err());
        assert!(bind(dir.path(), "../x", Path::new("/nonexistent")).is_err());
    }
}
