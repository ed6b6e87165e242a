//! Images whose files a pod sees beside its containers' own (image volumes).

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;

use super::Inner;
use crate::mount::{self as mounts};
use crate::{Error, Result, overlay};

/// Overlay options must fit into one page.
const MAX_OPTIONS: usize = 4095;

nix::ioctl_none!(
    /// The user namespace that owns a namespace; a new descriptor.
    owner, 0xb7, 0x1
);

impl Inner {
    /// See [`crate::Runtime::mount_image`].
    pub(super) fn mount_image(&self, pod_uid: &str, image_id: &str, target: &Path) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| Error::System(format!("mount image {image_id} on {}: {e}", target.display()));
        fs::create_dir_all(target).map_err(|e| fail(&e))?;
        // What is not empty has the image already: the directory itself never gets a file.
        if fs::read_dir(target).map_err(|e| fail(&e))?.next().is_some() {
            return Ok(());
        }
        let image = self.images.open_image(image_id)?;
        let dir = self.images.layers_dir();
        let layers: Vec<String> = image.layers.iter().rev().cloned().collect();
        let mapped = self.pods().get(pod_uid).is_some_and(|pod| pod.users.is_some());
        if mapped {
            let users = self.users_of(pod_uid).map_err(|e| fail(&e))?;
            return mount_mapped(users, dir, layers, target.to_owned()).map_err(|e| fail(&e));
        }
        let layers: Vec<PathBuf> = layers.iter().map(|layer| dir.join(layer)).collect();
        if let [only] = layers.as_slice() {
            let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(Some(only), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(|e| fail(&e))?;
            return mount(None::<&str>, target, None::<&str>, read_only, None::<&str>).map_err(|e| fail(&e));
        }
        let lower = layers.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(":");
        mount_overlay(&lower, target).map_err(|e| fail(&e))
    }

    /// The user namespace of a pod: it owns the network namespace, which has a name.
    fn users_of(&self, uid: &str) -> std::io::Result<OwnedFd> {
        let network = File::open(self.config.netns(uid))?;
        // SAFETY: the request takes no argument; the kernel has just made the descriptor for us.
        Ok(unsafe { OwnedFd::from_raw_fd(owner(network.as_raw_fd())?) })
    }
}

fn mount_overlay(lower: &str, target: &Path) -> nix::Result<()> {
    let options = format!("lowerdir={lower}");
    if lower.is_empty() || options.len() > MAX_OPTIONS {
        return Err(Errno::E2BIG);
    }
    mount(Some("overlay"), target, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str()))
}

/// The image with the ids of a user namespace. What it is put together from is seen in a thread's own mount namespace
/// alone, and so is its change of directory.
fn mount_mapped(users: OwnedFd, dir: PathBuf, layers: Vec<String>, target: PathBuf) -> nix::Result<()> {
    let place = open(&target, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let work = move || -> nix::Result<OwnedFd> {
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
        mounts::propagate_all(MsFlags::MS_PRIVATE)?;
        if let [only] = layers.as_slice() {
            let tree = mounts::clone_tree(&dir.join(only))?;
            mounts::map_ids(&tree, &users)?;
            mounts::make_read_only(&tree)?;
            return Ok(tree);
        }
        let lower = overlay::map_layers(&target, &dir, &layers, &users)?;
        mount_overlay(&lower, &target)?;
        mounts::clone_tree(&target)
    };
    let thread = std::thread::Builder::new().name("image".to_owned()).spawn(work).map_err(|_| Errno::EAGAIN)?;
    let tree = thread.join().map_err(|_| Errno::ECANCELED)??;
    mounts::attach(&tree, place)
}
