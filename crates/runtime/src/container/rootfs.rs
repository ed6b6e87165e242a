//! The container's view of the file system.
//!
//! Order: the overlay becomes the root first, and every other mount is made inside it. So a link in an image
//! cannot lead a mount out of the container, without any check of paths. What comes from the host is taken as a
//! detached tree before the root changes.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};

use super::{Result, dev, files, mount, proc};
use crate::shim::wire::{Failure, Spec};
use crate::{Mount, Propagation};

/// Overlay options must fit into one page.
const MAX_OPTIONS: usize = 4095;

/// A mount of the host, taken before the root changes.
struct Taken {
    tree: OwnedFd,
    target: PathBuf,
    directory: bool,
}

/// Makes the namespaces and the whole tree, and enters it; the root is still writable.
pub(super) fn enter(spec: &Spec) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP)
        .map_err(|e| Failure::system("make mount namespace", e))?;
    // Trees of shared mounts are taken while they still are peers of the host's.
    let mut taken = Vec::new();
    for wanted in spec.mounts.iter().filter(|m| m.propagation == Propagation::Bidirectional) {
        taken.push(take(wanted)?);
    }
    mount::propagate(Path::new("/"), MsFlags::MS_REC | MsFlags::MS_SLAVE)?;
    let mut shared = taken.into_iter();
    let mut all = Vec::new();
    for wanted in &spec.mounts {
        let from_host = match wanted.propagation {
            Propagation::Bidirectional => shared.next(),
            _ => None,
        };
        all.push(match from_host {
            Some(tree) => tree,
            None => take(wanted)?,
        });
    }
    let shm = mount::clone_tree(&spec.shm).map_err(|e| Failure::system(spec.shm.display(), e))?;
    let devices = dev::take(spec)?;
    overlay(spec)?;
    pivot(&spec.dir.join("rootfs"))?;
    proc::mount_all(spec)?;
    dev::mount_all(spec, &shm, devices)?;
    for mount in &all {
        files::place(&mount.target, mount.directory)?;
        mount::attach_tree(&mount.tree, &mount.target)
            .map_err(|e| Failure::system(format_args!("mount on {}", mount.target.display()), e))?;
    }
    Ok(())
}

/// Masks paths and makes the root read-only: after the last change to the tree.
pub(super) fn protect(spec: &Spec) -> Result<()> {
    if !spec.privileged && !spec.unmasked_proc {
        proc::mask()?;
    }
    if !spec.cwd.is_empty() && !Path::new(&spec.cwd).exists() {
        files::place(Path::new(&spec.cwd), true)?;
    }
    if spec.read_only_root {
        mount::remount_read_only(Path::new("/")).map_err(|e| Failure::system("make the root read-only", e))?;
    }
    Ok(())
}

fn take(wanted: &Mount) -> Result<Taken> {
    let fail = |e: &dyn std::fmt::Display| {
        Failure::Start(format!("mount {} on {}: {e}", wanted.source.display(), wanted.target.display()))
    };
    let directory = std::fs::metadata(&wanted.source).map_err(|e| fail(&e))?.is_dir();
    let tree = mount::clone_tree(&wanted.source).map_err(|e| fail(&e))?;
    let propagation = match wanted.propagation {
        Propagation::Private => MsFlags::MS_PRIVATE,
        Propagation::HostToContainer => MsFlags::MS_SLAVE,
        Propagation::Bidirectional => MsFlags::empty(),
    };
    mount::shape_tree(&tree, wanted.read_only, propagation).map_err(|e| fail(&e))?;
    let target = Path::new("/").join(&wanted.target);
    Ok(Taken { tree, target, directory })
}

fn overlay(spec: &Spec) -> Result<()> {
    // Short relative names: all layers together must fit into one page.
    chdir(&spec.layers_dir).map_err(|e| Failure::system(spec.layers_dir.display(), e))?;
    let (upper, work, root) = (spec.dir.join("upper"), spec.dir.join("work"), spec.dir.join("rootfs"));
    // Volatile: no container outlives the machine, so nothing is written to the disk for its end.
    let options =
        format!("lowerdir={},upperdir={},workdir={},volatile", spec.layers.join(":"), upper.display(), work.display());
    if options.len() > MAX_OPTIONS {
        return Err(Failure::Config(format!("the image has too many layers ({})", spec.layers.len())));
    }
    mount::file_system("overlay", &root, MsFlags::empty(), &options)
}

fn pivot(root: &Path) -> Result<()> {
    let steps = || -> nix::Result<()> {
        chdir(root)?;
        // Both the same: the old root ends up on top of the new one, and is taken off at once.
        pivot_root(".", ".")?;
        umount2(".", MntFlags::MNT_DETACH)?;
        chdir("/")
    };
    steps().map_err(|e| Failure::system("change the root", e))
}
