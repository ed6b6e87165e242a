//! `/dev`.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, chown};

use super::{Result, files, mount};
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

/// One device of the host.
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

/// Makes the container's `/dev`.
pub(super) fn mount_all(spec: &Spec, shm: &OwnedFd, devices: Vec<Device>) -> Result<()> {
    let dev = Path::new("/dev");
    files::place(dev, true)?;
    mount::file_system("tmpfs", dev, MsFlags::MS_NOSUID | MsFlags::MS_STRICTATIME, "mode=755,size=65536k")?;
    fill(dev, devices).map_err(|e| Failure::system("make device nodes", e))?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let pts = dev.join("pts");
    files::place(&pts, true)?;
    mount::file_system("devpts", &pts, quiet, "newinstance,ptmxmode=0666,mode=0620,gid=5")?;
    let queue = dev.join("mqueue");
    files::place(&queue, true)?;
    mount::file_system("mqueue", &queue, quiet | MsFlags::MS_NODEV, "")?;
    let place = dev.join("shm");
    files::place(&place, true)?;
    mount::attach_tree(shm, &place).map_err(|e| Failure::system("mount /dev/shm", e))?;
    if spec.tty {
        files::place(&dev.join("console"), false)?;
    }
    Ok(())
}

fn fill(dev: &Path, devices: Vec<Device>) -> io::Result<()> {
    let mode = Mode::from_bits_truncate(0o666);
    for (name, major, minor) in NODES {
        let path = dev.join(name);
        mknod(&path, SFlag::S_IFCHR, mode, makedev(major, minor))?;
        // The umask has cut the mode.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
    }
    for (target, name) in LINKS {
        symlink(target, dev.join(name))?;
    }
    for device in devices {
        if let Some(parent) = device.path.parent() {
            fs::create_dir_all(parent)?;
        }
        match mknod(&device.path, device.kind, Mode::from_bits_truncate(device.mode), device.number) {
            Ok(()) => {
                let (user, group) = device.owner;
                chown(&device.path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
                fs::set_permissions(&device.path, fs::Permissions::from_mode(device.mode))?;
            }
            Err(nix::Error::EEXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
