//! `subPath`: a part of a volume, safe against links that lead out of it.
//!
//! The part is opened without leaving the volume and bound to a place of the kubelet's own, so
//! that the container cannot exchange it afterwards.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{SFlag, fstat};
use runtime::{Kind, Root};

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

/// Opens the part without leaving the volume, whatever links its users put there meanwhile.
fn open_inside(volume: &Path, part: &str) -> Result<OwnedFd, Errno> {
    let (root, part) = (Root::strict(volume)?, Path::new(part));
    match root.find(part, OFlag::O_PATH) {
        Err(Errno::ENOENT) => {}
        other => return other,
    }
    let mode = fs::metadata(volume).map_or(0o750, |m| m.permissions().mode() & 0o7777);
    let dir = root.make(part, Kind::Directory, mode & 0o777)?;
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
        // Links to what is not there yet, and the magic ones of /proc.
        let outside = tempfile::tempdir().expect("directory");
        for (name, target) in [("far", outside.path().join("new")), ("magic", "/proc/self/root/tmp".into())] {
            std::os::unix::fs::symlink(target, dir.path().join(name)).expect("linked");
            assert_eq!(open_inside(dir.path(), name).err(), Some(Errno::EXDEV), "{name}");
            assert!(open_inside(dir.path(), &format!("{name}/deep")).is_err());
        }
        std::os::unix::fs::symlink("../../../../../../../../proc/self/cwd", dir.path().join("up")).expect("linked");
        assert!(open_inside(dir.path(), "up/x").is_err());
        assert_eq!(fs::read_dir(outside.path()).expect("list").count(), 0);
        std::os::unix::fs::symlink("a/later", dir.path().join("near")).expect("linked");
        open_inside(dir.path(), "near").expect("made where the link points to");
        assert!(dir.path().join("a/later").is_dir());
        assert!(bind(dir.path(), "../x", Path::new("/nonexistent")).is_err());
    }
}
