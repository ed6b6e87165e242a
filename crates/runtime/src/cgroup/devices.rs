//! Which devices a group may use: the rules of cgroup version 1.
//!
//! Version 2 has no such file (it takes a BPF program instead, which is not written yet): there only the nodes in
//! the container's own `/dev` are within reach, and a container with `CAP_MKNOD` can make others.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::Hierarchies;

/// containerd's default rules: make any node; use null, zero, full, random, urandom, tty, console, ptmx, pts.
const DEFAULT: [&str; 11] = [
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm",
    "c 5:2 rwm", "c 136:* rwm",
];

/// Restricts a group to the default devices and `extra`.
pub(crate) fn restrict(hierarchies: &Hierarchies, group: &Path, extra: &[PathBuf]) -> io::Result<()> {
    let Hierarchies::V1(_) = hierarchies else { return Ok(()) };
    let Some(dir) = hierarchies.dir("devices", group) else { return Ok(()) };
    fs::write(dir.join("devices.deny"), "a")?;
    for rule in DEFAULT {
        fs::write(dir.join("devices.allow"), rule)?;
    }
    for path in extra {
        let meta = fs::metadata(path)?;
        let kind = if meta.file_type().is_block_device() { 'b' } else { 'c' };
        let (major, minor) = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
        fs::write(dir.join("devices.allow"), format!("{kind} {major}:{minor} rwm"))?;
    }
    Ok(())
}
