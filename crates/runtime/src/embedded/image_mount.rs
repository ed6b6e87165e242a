//! Images whose files a pod sees beside its containers' own (image volumes).

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;

use super::Inner;
use crate::{Config, Error, Result, disk, mount as mounts, overlay};

/// Beginning of the name of a file in a pod's directory; the rest is that of an image's topmost layer.
const RECORD: &str = "layers-";

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
        self.record(pod_uid, &image.layers).map_err(|e| fail(&e))?;
        let dir = self.images.layers_dir();
        let layers: Vec<String> = image.layers.iter().rev().cloned().collect();
        let mapped = self.pods().get(pod_uid).is_some_and(|pod| pod.users.is_some());
        if mapped {
            let users = self.users_of(pod_uid).map_err(|e| fail(&e))?;
            return attach(&dir, &layers, Some(&users), target).map_err(|e| fail(&e));
        }
        let paths: Vec<PathBuf> = layers.iter().map(|layer| dir.join(layer)).collect();
        if let [only] = paths.as_slice() {
            let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(Some(only), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(|e| fail(&e))?;
            return mount(None::<&str>, target, None::<&str>, read_only, None::<&str>).map_err(|e| fail(&e));
        }
        let lower = paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(":");
        match lower.len() + "lowerdir=".len() <= overlay::MAX_OPTIONS {
            true => overlay::mount_read_only(&lower, target).map_err(|e| fail(&e)),
            false => attach(&dir, &layers, None, target).map_err(|e| fail(&e)),
        }
    }

    /// Remembers, until the pod is removed, that its volumes stand on these layers: not every mount tells.
    fn record(&self, uid: &str, layers: &[String]) -> std::io::Result<()> {
        let dir = self.config.pod(uid);
        match layers.last().filter(|_| dir.exists()) {
            Some(top) => disk::write_json(&dir.join(format!("{RECORD}{top}")), &layers, false),
            None => Ok(()),
        }
    }

    /// The user namespace of a pod: it owns the network namespace, which has a name.
    fn users_of(&self, uid: &str) -> std::io::Result<OwnedFd> {
        let network = File::open(self.config.netns(uid))?;
        // SAFETY: the request takes no argument; the kernel has just made the descriptor for us.
        Ok(unsafe { OwnedFd::from_raw_fd(owner(network.as_raw_fd())?) })
    }
}

/// Layers that volumes of pods stand on.
pub(super) fn layers_of_pods(config: &Config) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    if !config.pods().exists() {
        return Ok(found);
    }
    for pod in fs::read_dir(config.pods())? {
        let entries = match fs::read_dir(pod?.path()) {
            // It was removed meanwhile.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // What a crash left half written has another ending.
            if name.strip_prefix(RECORD).is_some_and(|layer| !layer.contains('.')) {
                found.extend(disk::read_json::<Vec<String>>(&entry.path())?.unwrap_or_default());
            }
        }
    }
    Ok(found)
}

/// Mounts layers that are put together where nobody else sees it.
fn attach(dir: &Path, layers: &[String], users: Option<&OwnedFd>, target: &Path) -> nix::Result<()> {
    let place = open(target, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    mounts::attach(&overlay::tree(target, dir, layers, users.map(AsFd::as_fd))?, place)
}
