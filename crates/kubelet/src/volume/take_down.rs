//! Takes a pod's directory away, with whatever is mounted in it.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use super::at;

/// Mount points at or below a directory, the deepest first.
pub fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|path| PathBuf::from(unescape(path)))
        .filter(|path| path.starts_with(dir))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// `\040` and the like stand for spaces, tabs, newlines and backslashes.
fn unescape(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Unmounts everything below the directory.
pub fn unmount(dir: &Path) -> Result<(), String> {
    for path in mounts_below(dir) {
        umount2(&path, MntFlags::MNT_DETACH).map_err(|e| format!("unmounting {}: {e}", path.display()))?;
    }
    Ok(())
}

/// Unmounts and removes the directory; no error when it is not there. Nothing is removed while
/// something is still mounted: that would delete what belongs to others.
pub fn remove(dir: &Path) -> Result<(), String> {
    unmount(dir)?;
    if !mounts_below(dir).is_empty() {
        return Err(format!("{} still has mounts", dir.display()));
    }
    runtime::remove_tree(dir).map_err(at(dir))
}
