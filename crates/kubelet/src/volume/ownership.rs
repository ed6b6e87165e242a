//! Group ownership of volumes (`fsGroup`; upstream: `SetVolumeOwnership`).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;

use super::at;
use crate::spec;

const SET_GID: u32 = 0o2000;

/// The pod's `fsGroup`.
pub fn group(pod: &Pod) -> Option<u32> {
    let group = spec::of(pod).security_context.as_ref()?.fs_group?;
    u32::try_from(group).ok()
}

/// Gives the tree to the pod's group, readable and, unless `read_only`, writable by it.
pub fn give(path: &Path, pod: &Pod, read_only: bool) -> Result<(), String> {
    match group(pod) {
        Some(group) => walk(path, group, if read_only { 0o440 } else { 0o660 }),
        None => Ok(()),
    }
}

fn walk(path: &Path, group: u32, mask: u32) -> Result<(), String> {
    let meta = fs::symlink_metadata(path).map_err(at(path))?;
    // Who watches for changes hears of none that is none.
    if meta.gid() != group {
        lchown(path, None, Some(group)).map_err(at(path))?;
    }
    if meta.is_symlink() {
        return Ok(());
    }
    let extra = if meta.is_dir() { mask | SET_GID | 0o110 } else { mask };
    // The change of group may have taken rights away.
    let (now, wanted) = (fs::symlink_metadata(path).map_err(at(path))?.mode() & 0o7777, (meta.mode() & 0o7777) | extra);
    if now != wanted {
        fs::set_permissions(path, fs::Permissions::from_mode(wanted)).map_err(at(path))?;
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path).map_err(at(path))?.flatten() {
            walk(&entry.path(), group, mask)?;
        }
    }
    Ok(())
}

/// The user that all containers run as, if it is the same one.
pub fn common_user(pod: &Pod) -> Option<u32> {
    let of_pod = spec::of(pod).security_context.as_ref().and_then(|s| s.run_as_user);
    let all = spec::of(pod).containers.iter().chain(spec::init_containers(pod));
    let mut users = all.map(|c| c.security_context.as_ref().and_then(|s| s.run_as_user).or(of_pod));
    let first = users.next()??;
    users.all(|u| u == Some(first)).then(|| u32::try_from(first).ok()).flatten()
}
