//! Layers of images as the lower directories of an overlay.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{chdir, fchdir, symlinkat};

use crate::mount::{self, NO_DEV, NO_EXEC, NO_SUID};
use crate::root::Root;

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
/// Options of an overlay must fit into one page.
pub(crate) const MAX_OPTIONS: usize = 4095;
/// So much of them is for the lower directories.
const MAX_LOWER: usize = 3072;

/// Goes to a directory in which the layers, topmost first, have short names, and returns the overlay's `lowerdir` in those.
/// With a user namespace, layers are shown with its ids: an overlay cannot be id-mapped, but what it stands on can.
///
/// For a process (or thread) with a mount namespace of its own, where what is mounted at `place` for it goes with the
/// namespace, or with the old root.
pub(crate) fn go_to_layers(
    place: &Path, dir: &Path, layers: &[String], users: Option<BorrowedFd<'_>>,
) -> nix::Result<String> {
    let names = layers.join(":");
    if users.is_none() && names.len() <= MAX_LOWER {
        return chdir(dir).map(|()| names);
    }
    let top = mount::file_system("tmpfs", NO_SUID | NO_DEV | NO_EXEC, "mode=700")?;
    mount::attach(&top, open(place, DIRECTORY, Mode::empty())?)?;
    for (number, layer) in layers.iter().enumerate() {
        let (name, layer) = (number.to_string(), dir.join(layer));
        match users {
            None => symlinkat(&layer, &top, name.as_str())?,
            Some(users) => {
                mkdirat(&top, name.as_str(), Mode::S_IRWXU)?;
                let tree = mount::clone_tree(&layer)?;
                mount::map_ids(&tree, users)?;
                mount::attach(&tree, openat(&top, name.as_str(), DIRECTORY, Mode::empty())?)?;
            }
        }
    }
    fchdir(&top)?;
    Ok((0..layers.len()).map(|number| number.to_string()).collect::<Vec<_>>().join(":"))
}

/// Mounts layers, topmost first, as one tree that is only read.
pub(crate) fn mount_read_only(lower: &str, target: &Path) -> nix::Result<()> {
    let options = format!("lowerdir={lower}");
    if lower.is_empty() || options.len() > MAX_OPTIONS {
        return Err(Errno::E2BIG);
    }
    nix::mount::mount(Some("overlay"), target, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str()))
}

/// Does some work on layers, topmost first and at least two, as one tree at `place`. It is seen in the mount namespace of
/// a thread alone.
pub(crate) fn with_tree<T: Send>(
    place: &Path, dir: &Path, layers: &[String], work: impl FnOnce(&Root) -> T + Send,
) -> nix::Result<T> {
    apart(|| {
        let lower = go_to_layers(place, dir, layers, None)?;
        mount_read_only(&lower, place)?;
        Ok(work(&Root::open(place)?))
    })
}

/// A copy of the mount that layers, topmost first and at least two, make at `place`, attached nowhere.
pub(crate) fn tree(
    place: &Path, dir: &Path, layers: &[String], users: Option<BorrowedFd<'_>>,
) -> nix::Result<OwnedFd> {
    apart(|| {
        if let (Some(users), [only]) = (users, layers) {
            let tree = mount::clone_tree(&dir.join(only))?;
            mount::map_ids(&tree, users.as_fd())?;
            mount::make_read_only(&tree)?;
            return Ok(tree);
        }
        let lower = go_to_layers(place, dir, layers, users)?;
        mount_read_only(&lower, place)?;
        mount::clone_tree(place)
    })
}

/// In a thread with a mount namespace, and a working directory, of its own.
fn apart<T: Send>(work: impl FnOnce() -> nix::Result<T> + Send) -> nix::Result<T> {
    let own = || {
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
        mount::propagate_all(MsFlags::MS_PRIVATE)?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("image".to_owned()).spawn_scoped(scope, own);
        thread.map_err(|_| Errno::EAGAIN)?.join().map_err(|_| Errno::ECANCELED)?
    })
}
