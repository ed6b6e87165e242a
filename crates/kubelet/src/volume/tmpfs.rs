//! Memory-backed directories.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::at;

/// Mounts a tmpfs at the directory, unless one is there.
pub fn ensure(dir: &Path, size: Option<i64>, mode: u32) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    if is_mount_point(dir) {
        return Ok(());
    }
    let size = size.map(|s| format!("size={s}"));
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), dir, Some("tmpfs"), flags, size.as_deref())
        .map_err(|error| format!("mounting tmpfs at {}: {error}", dir.display()))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(at(dir))
}

/// Whether another file system begins there.
pub fn is_mount_point(dir: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).ok();
    dir.parent().is_some_and(|parent| device(dir) != device(parent))
}
