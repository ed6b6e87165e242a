//! `/dev`.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, makedev, mkdirat, mknodat};
use nix::unistd::{Gid, Uid, fchownat, symlinkat};

use super::Result;
use super::place::{Place, is_device};
use super::proc::{made, own};
use crate::mount::{self, NO_DEV, NO_EXEC, NO_SUID, STRICT_ATIME};
use crate::root::{Kind, Root};
use crate::shim::wire::{Failure, Spec};

/// Name, major and minor number of the nodes that every container has.
const NODES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// The group of terminals (`tty`).
const TERMINALS: u32 = 5;

/// One device of the host. It keeps its owner, also in a user namespace, whose root is then nobody to it.
pub(super) struct Device {
    path: PathBuf,
    kind: SFlag,
    mode: u32,
    number: u64,
    owner: (u32, u32),
}

/// Looks up the host's devices that the container gets: those asked for, or all when privileged.
pub(super) fn take(spec: &Spec) -> Result<Vec<Device>> {
    let mut found = Vec::new();
    for path in &spec.devices {
        let meta = fs::metadata(path).map_err(|e| Failure::system(path.display(), e))?;
        found.extend(device(path, &meta));
    }
    if spec.privileged {
        collect(Path::new("/dev"), &mut found);
    }
    Ok(found)
}

fn device(path: &Path, meta: &fs::Metadata) -> Option<Device> {
    let kind = meta.file_type();
    let kind = match (kind.is_char_device(), kind.is_block_device()) {
        (true, _) => SFlag::S_IFCHR,
        (_, true) => SFlag::S_IFBLK,
        _ => return None,
    };
    let mode = meta.mode() & 0o7777;
    Some(Device { path: path.to_path_buf(), kind, mode, number: meta.rdev(), owner: (meta.uid(), meta.gid()) })
}

fn collect(dir: &Path, found: &mut Vec<Device>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        // As containerd: these belong to the container itself, or are no devices.
        if ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console", "ptmx"].iter().any(|n| name == *n)
        {
            continue;
        }
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            collect(&path, found);
        } else {
            found.extend(device(&path, &meta));
        }
    }
}

/// Makes the container's `/dev`; returns its `null`.
pub(super) fn mount_all(spec: &Spec, place: &Place, shm: &OwnedFd, devices: Vec<Device>) -> Result<OwnedFd> {
    let dev = own(place, "dev", "tmpfs", NO_SUID | STRICT_ATIME, "mode=755,size=65536k")?;
    fill(&dev).map_err(|e| Failure::system("make device nodes", e))?;
    for device in devices {
        add(&place.root, &device).map_err(|e| Failure::system(format_args!("make {}", device.path.display()), e))?;
    }
    let quiet = NO_SUID | NO_EXEC;
    let terminals = spec.users.map_or(TERMINALS, |range| range.on_node(TERMINALS));
    let pts = made("devpts", quiet, &format!("newinstance,ptmxmode=0666,mode=0620,gid={terminals}"))?;
    let queue = made("mqueue", quiet | NO_DEV, "")?;
    for (name, tree) in [("pts", &pts), ("mqueue", &queue), ("shm", shm)] {
        below(&dev, name, tree).map_err(|e| Failure::system(format_args!("mount /dev/{name}"), e))?;
    }
    if spec.tty {
        let made = place.root.make(Path::new("/dev/console"), Kind::File, 0o644);
        made.map_err(|e| Failure::system("make /dev/console", e))?;
    }
    null(&dev)
}

/// Opens the node that has just been made: it hides files, and is the standard input of most containers.
fn null(dev: &OwnedFd) -> Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let open = || -> nix::Result<(OwnedFd, bool)> {
        let node = openat(dev, "null", flags, Mode::empty())?;
        let right = is_device(&node, 1, 3)?;
        Ok((node, right))
    };
    match open().map_err(|e| Failure::system("open /dev/null", e))? {
        (node, true) => Ok(node),
        (_, false) => Err(Failure::Start("/dev/null is not the character device 1:3".into())),
    }
}

fn below(dev: &OwnedFd, name: &str, tree: &OwnedFd) -> nix::Result<()> {
    mkdirat(dev, name, Mode::from_bits_truncate(0o755))?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    mount::attach(tree, openat(dev, name, flags, Mode::empty())?)
}

fn fill(dev: &OwnedFd) -> nix::Result<()> {
    for (name, major, minor) in NODES {
        node(dev, Path::new(name), SFlag::S_IFCHR, 0o666, makedev(major, minor))?;
    }
    for (target, name) in LINKS {
        symlinkat(target, dev, name)?;
    }
    Ok(())
}

/// The umask has cut the mode of a new node.
fn node(dir: &OwnedFd, name: &Path, kind: SFlag, mode: u32, number: u64) -> nix::Result<()> {
    let mode = Mode::from_bits_truncate(mode);
    mknodat(dir, name, kind, mode, number)?;
    fchmodat(dir, name, mode, FchmodatFlags::FollowSymlink)
}

/// Makes a node of the host's in the container, at the same path, which an image may have filled with links.
fn add(root: &Root, device: &Device) -> nix::Result<()> {
    let (Some(parent), Some(name)) = (device.path.parent(), device.path.file_name()) else { return Ok(()) };
    let dir = root.make(parent, Kind::Directory, 0o755)?;
    match node(&dir, Path::new(name), device.kind, device.mode, device.number) {
        Err(Errno::EEXIST) => return Ok(()),
        other => other?,
    }
    let (user, group) = device.owner;
    fchownat(&dir, name, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)), AtFlags::AT_SYMLINK_NOFOLLOW)
}
