//! `subPath`: a part of a volume, safe against links that lead out of it.
//!
//! The part is opened without leaving the volume and bound to a place of the kubelet's own, so
//! that the container cannot exchange it afterwards.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{SFlag, fstat};
use runtime::Root;

use super::{at, take_down, tmpfs};

/// Binds `volume/part` to `target` and returns `target`; directories that are missing are made. What is bound already stays,
/// unless it is no longer what the volume has there: content that the kubelet writes is exchanged as a whole (upstream:
/// `prepareSubpathTarget`).
pub fn bind(volume: &Path, part: &str, target: &Path) -> Result<PathBuf, String> {
    if Path::new(part).components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("subPath {part:?} must be a relative path without '..'"));
    }
    let file = open_inside(volume, part).map_err(|e| format!("failed to prepare subPath {part:?}: {e}"))?;
    let wanted = fstat(&file).map_err(|e| e.to_string())?;
    if is_bound(target) {
        if fs::metadata(target).is_ok_and(|there| (there.dev(), there.ino()) == (wanted.st_dev, wanted.st_ino)) {
            return Ok(target.to_owned());
        }
        // Containers that run have a mount of their own.
        take_down::unmount(target)?;
    }
    make_target(target, SFlag::from_bits_truncate(wanted.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR)?;
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    mount(Some(source.as_str()), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(|error| format!("binding subPath {part:?}: {error}"))?;
    Ok(target.to_owned())
}

/// An empty file or directory to mount on; what was one before may be the other now.
fn make_target(target: &Path, directory: bool) -> Result<(), String> {
    let parent = target.parent().unwrap_or(target);
    fs::create_dir_all(parent).map_err(at(parent))?;
    match fs::symlink_metadata(target) {
        Ok(there) if there.is_dir() == directory => return Ok(()),
        Ok(_) => runtime::remove_tree(target).map_err(at(target))?,
        Err(_) => {}
    }
    match directory {
        true => fs::create_dir(target).map_err(at(target)),
        false => fs::File::create(target).map(drop).map_err(at(target)),
    }
}

fn is_bound(target: &Path) -> bool {
    target.exists() && (tmpfs::is_mount_point(target) || take_down::mounts_below(target).contains(&target.to_owned()))
}

/// Opens the part without leaving the volume, whatever links its users put there meanwhile. All directories that are made
/// have the rights of the volume (upstream: `doSafeMakeDir`).
fn open_inside(volume: &Path, part: &str) -> Result<OwnedFd, Errno> {
    let (root, part) = (Root::strict(volume)?, Path::new(part));
    match root.find(part, OFlag::O_PATH) {
        Err(Errno::ENOENT) => {}
        other => return other,
    }
    let mode = fs::metadata(volume).map_or(0o750, |m| m.permissions().mode() & 0o7777);
    root.make_directories(part, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_made_with_the_volumes_rights_and_never_outside() {
        let dir = tempfile::tempdir().expect("directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o2777)).expect("allowed");
        open_inside(dir.path(), "a/b").expect("made");
        for made in ["a", "a/b"] {
            let mode = fs::metadata(dir.path().join(made)).expect("there").permissions().mode() & 0o7777;
            assert_eq!(mode, 0o2777, "{made}");
        }
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

    /// A ConfigMap's version goes when the next one is there; a container that is started again must see that one, and not
    /// the file that is gone.
    #[test]
    fn a_part_that_was_exchanged_is_bound_anew() {
        let dir = tempfile::tempdir().expect("directory");
        let (volume, target) = (dir.path().join("volume"), dir.path().join("parts/c/0"));
        let put = |path: &str, text: &str| {
            let payload = [(path.to_owned(), (text.as_bytes().to_vec(), 0o644))].into();
            super::super::atomic::write(&volume, &payload, |_| Ok(())).expect("written");
        };
        let read = |path: &Path| fs::read_to_string(path).expect("a file");
        put("key", "one");
        bind(&volume, "key", &target).expect("bound");
        put("key", "two");
        assert_eq!(read(&target), "one", "who has it keeps it");
        bind(&volume, "key", &target).expect("bound anew");
        assert_eq!(read(&target), "two");
        bind(&volume, "key", &target).expect("as it is");
        assert_eq!(take_down::mounts_below(dir.path()).len(), 1, "one mount, however often");
        // A directory now, and a file again; then nothing, which upstream makes a directory of.
        put("key/inner", "three");
        bind(&volume, "key", &target).expect("bound as a directory");
        assert_eq!(read(&target.join("inner")), "three");
        put("key", "four");
        bind(&volume, "key", &target).expect("bound as a file");
        assert_eq!(read(&target), "four");
        put("other", "five");
        bind(&volume, "key", &target).expect("bound to what was made");
        assert!(target.is_dir());
        take_down::remove(dir.path()).expect("removed");
    }
}
