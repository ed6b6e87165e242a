//! Images whose files a pod sees beside its containers' own (image volumes).

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::Inner;
use crate::{Error, Result};

/// Overlay options must fit into one page.
const MAX_OPTIONS: usize = 4095;

impl Inner {
    /// See [`crate::Runtime::mount_image`].
    pub(super) fn mount_image(&self, image_id: &str, target: &Path) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| Error::System(format!("mount image {image_id} on {}: {e}", target.display()));
        fs::create_dir_all(target).map_err(|e| fail(&e))?;
        // What is not empty has the image already: the directory itself never gets a file.
        if fs::read_dir(target).map_err(|e| fail(&e))?.next().is_some() {
            return Ok(());
        }
        let image = self.images.open_image(image_id)?;
        let dir = self.images.layers_dir();
        let layers: Vec<PathBuf> = image.layers.iter().rev().map(|layer| dir.join(layer)).collect();
        if let [only] = layers.as_slice() {
            let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(Some(only), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(|e| fail(&e))?;
            return mount(None::<&str>, target, None::<&str>, read_only, None::<&str>).map_err(|e| fail(&e));
        }
        let lower = layers.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(":");
        let options = format!("lowerdir={lower}");
        if layers.is_empty() || options.len() > MAX_OPTIONS {
            return Err(fail(&format_args!("it has {} layers", layers.len())));
        }
        mount(Some("overlay"), target, Some("overlay"), MsFlags::MS_RDONLY, Some(options.as_str())).map_err(|e| fail(&e))
    }
}
