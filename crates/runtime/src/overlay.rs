//! Layers of images with the ids of a user namespace.
//!
//! An overlay cannot be id-mapped, but what it stands on can: each layer's directory is cloned as a mount, which is
//! mapped and attached where only the caller sees it.

use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::fchdir;

use crate::mount::{self, NO_DEV, NO_EXEC, NO_SUID};

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Mounts the layers below `place`, mapped, and makes `place` the working directory; returns the overlay's `lowerdir`
/// in relative names. For a process (or thread) with a mount namespace of its own, where all of it goes with the
/// namespace, or with the old root.
pub(crate) fn map_layers(place: &Path, dir: &Path, layers: &[String], users: impl AsFd) -> nix::Result<String> {
    let top = mount::file_system("tmpfs", NO_SUID | NO_DEV | NO_EXEC, "mode=700")?;
    mount::attach(&top, open(place, DIRECTORY, Mode::empty())?)?;
    for (number, layer) in layers.iter().enumerate() {
        let name = number.to_string();
        mkdirat(&top, name.as_str(), Mode::S_IRWXU)?;
        let tree = mount::clone_tree(&dir.join(layer))?;
        mount::map_ids(&tree, users.as_fd())?;
        mount::attach(&tree, openat(&top, name.as_str(), DIRECTORY, Mode::empty())?)?;
    }
    fchdir(&top)?;
    Ok((0..layers.len()).map(|number| number.to_string()).collect::<Vec<_>>().join(":"))
}
