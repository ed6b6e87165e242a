//! The container's view of the file system.
//!
//! Order: the overlay becomes the root first, and every other mount is made inside it. What comes from the host is
//! taken as a detached tree before the root changes. Where it goes is the container's choice, so each place is looked
//! up by [`Root`](crate::root::Root) and held open: a link in an image or in a volume leads neither out of the
//! container nor through the magic links of `/proc`.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};

use super::place::Place;
use super::{Result, dev, proc};
use crate::root::{Kind, Root};
use crate::shim::wire::{Failure, Spec};
use crate::users::{self, IdRange};
use crate::{Mount, Propagation, absolute, mount, overlay};

/// A mount of the host, taken before the root changes.
struct Taken {
    tree: OwnedFd,
    target: PathBuf,
    kind: Kind,
}

/// Makes the namespaces and the whole tree, and enters it; the root is still writable. Also returns its `/dev/null`.
///
/// With a user namespace, layers and volumes are seen with its ids, and what is made is its root's.
pub(super) fn enter(spec: &Spec, users: Option<(&File, IdRange)>) -> Result<(Place, OwnedFd)> {
    let namespace = users.map(|(namespace, _)| namespace);
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP)
        .map_err(|e| Failure::system("make mount namespace", e))?;
    // Trees of shared mounts are taken while they still are peers of the host's.
    let mut taken = Vec::new();
    for wanted in spec.mounts.iter().filter(|m| m.propagation == Propagation::Bidirectional) {
        taken.push(take(wanted, namespace)?);
    }
    mount::propagate_all(MsFlags::MS_SLAVE).map_err(|e| Failure::system("leave the host's mounts", e))?;
    let mut shared = taken.into_iter();
    let mut all = Vec::new();
    for wanted in &spec.mounts {
        let from_host = match wanted.propagation {
            Propagation::Bidirectional => shared.next(),
            _ => None,
        };
        all.push(match from_host {
            Some(tree) => tree,
            None => take(wanted, namespace)?,
        });
    }
    let shm = mount::clone_tree(&spec.shm).map_err(|e| Failure::system(spec.shm.display(), e))?;
    let devices = dev::take(spec)?;
    overlay(spec, namespace)?;
    if let Some((_, range)) = users {
        users::make_files_for(range).map_err(|e| Failure::system("act as the root of the user namespace", e))?;
    }
    mount::pivot(&spec.dir.join("rootfs")).map_err(|e| Failure::system("change the root", e))?;
    let place = Place::here()?;
    proc::mount_all(spec, &place)?;
    let null = dev::mount_all(spec, &place, &shm, devices)?;
    for mount in &in_order(all, &place.root) {
        place.mount(&mount.tree, &mount.target, mount.kind)?;
    }
    place.verify_proc()?;
    Ok((place, null))
}

/// Masks paths and makes the root read-only: after the last change to the tree.
pub(super) fn protect(spec: &Spec, place: &Place, null: &OwnedFd) -> Result<()> {
    if !spec.privileged && !spec.unmasked_proc {
        proc::mask(place, null)?;
    }
    if !spec.cwd.is_empty() {
        let made = place.root.make(Path::new(&spec.cwd), Kind::Directory, 0o755);
        made.map_err(|e| Failure::system(format_args!("make the working directory {}", spec.cwd), e))?;
    }
    if spec.read_only_root {
        mount::make_read_only(&place.root).map_err(|e| Failure::system("make the root read-only", e))?;
    }
    Ok(())
}

fn take(wanted: &Mount, users: Option<&File>) -> Result<Taken> {
    let fail = |e: &dyn std::fmt::Display| {
        Failure::Start(format!("mount {} on {}: {e}", wanted.source.display(), wanted.target.display()))
    };
    let directory = std::fs::metadata(&wanted.source).map_err(|e| fail(&e))?.is_dir();
    if users.is_some() && wanted.propagation == Propagation::Bidirectional {
        return Err(fail(&"mount propagation out of a user namespace is not possible"));
    }
    let tree = mount::clone_tree(&wanted.source).map_err(|e| fail(&e))?;
    if let Some(users) = users.filter(|_| !wanted.in_pod_ids) {
        mount::map_ids(&tree, users).map_err(|e| fail(&unmappable(&wanted.source, e)))?;
    }
    let propagation = match wanted.propagation {
        Propagation::Private => MsFlags::MS_PRIVATE,
        Propagation::HostToContainer => MsFlags::MS_SLAVE,
        Propagation::Bidirectional => MsFlags::empty(),
    };
    mount::shape_tree(&tree, wanted.read_only, propagation).map_err(|e| fail(&e))?;
    if wanted.recursive_read_only {
        mount::make_tree_read_only(&tree).map_err(|e| fail(&e))?;
    }
    let target = Path::new("/").join(&wanted.target);
    Ok(Taken { tree, target, kind: if directory { Kind::Directory } else { Kind::File } })
}

/// What lies deeper is mounted later, also where a link leads there. They come in the order of their paths; what lies below
/// another mount's path lies below that mount, whatever the image has there.
fn in_order(mounts: Vec<Taken>, root: &Root) -> Vec<Taken> {
    let mut placed: Vec<(PathBuf, PathBuf, Taken)> = Vec::new();
    for mount in mounts {
        let path = absolute(&mount.target);
        let outer = placed.iter().filter_map(|(target, real, _)| {
            let rest = path.strip_prefix(target).ok().filter(|rest| !rest.as_os_str().is_empty());
            rest.map(|rest| real.join(rest))
        });
        let real = outer.last().unwrap_or_else(|| root.resolved(&mount.target));
        placed.push((path, real, mount));
    }
    placed.sort_by_key(|(_, real, _)| real.components().count());
    placed.into_iter().map(|(_, _, mount)| mount).collect()
}

/// In runc's words.
fn unmappable(source: &Path, error: Errno) -> String {
    let why = match error {
        Errno::EINVAL => " (maybe the filesystem used doesn't support idmap mounts on this kernel?)",
        _ => "",
    };
    format!("failed to set MOUNT_ATTR_IDMAP on {}: {}{why}", source.display(), error.desc().to_lowercase())
}

fn overlay(spec: &Spec, users: Option<&File>) -> Result<()> {
    let (upper, work, root) = (spec.dir.join("upper"), spec.dir.join("work"), spec.dir.join("rootfs"));
    let place = overlay::go_to_layers(&root, &spec.layers_dir, &spec.layers, users.map(AsFd::as_fd));
    let layers = place.map_err(|e| match users {
        None => Failure::system(spec.layers_dir.display(), e),
        Some(_) => Failure::Start(unmappable(&spec.layers_dir, e)),
    })?;
    // Volatile: no container outlives the machine, so nothing is written to the disk for its end.
    let options =
        format!("lowerdir={layers},upperdir={},workdir={},volatile", upper.display(), work.display());
    if options.len() > overlay::MAX_OPTIONS {
        return Err(Failure::Config(format!("the image has too many layers ({})", spec.layers.len())));
    }
    // The old call: the new one has no room for so long an option. The place is ours alone.
    nix::mount::mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .map_err(|e| Failure::system(format_args!("mount overlay on {}", root.display()), e))
}
