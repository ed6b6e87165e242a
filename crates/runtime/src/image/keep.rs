//! What is kept beside the layers so that an image can be shown, and given to others as it came: its configuration, and
//! the recipes of its layers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::index::Index;
use super::recipe;
use super::store::Store;
use crate::disk;

impl Store {
    /// Where the configuration of an image is, if it is kept.
    pub(super) fn config_file(&self, id: &str) -> PathBuf {
        self.place("configs").join(id.trim_start_matches("sha256:"))
    }

    /// Where the recipe of a layer is, if there is one.
    pub(super) fn recipe_file(&self, layer: &str) -> PathBuf {
        self.place("recipes").join(layer)
    }

    /// Keeps the configuration of an image that is about to be entered.
    pub(super) fn keep_config(&self, id: &str, config: &[u8]) -> io::Result<()> {
        let path = self.config_file(id);
        fs::create_dir_all(self.place("configs"))?;
        if path.exists() { Ok(()) } else { disk::write(&path, config, true) }
    }

    /// Keeps the recipe of a layer that was made in `dir` and is now at `target`. Without it the layer can be run, but not
    /// given to others.
    pub(super) fn keep_recipe(&self, dir: &Path, target: &Path) -> io::Result<()> {
        let Some(layer) = target.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
        fs::create_dir_all(self.place("recipes"))?;
        match fs::rename(recipe::beside(dir), self.recipe_file(layer)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Removes what was kept for layers that are no more, and for an image that the index has no more.
    pub(super) fn forget(&self, index: &Index, id: &str, layers: &[String]) -> io::Result<()> {
        let configs = (!index.images.contains_key(id)).then(|| self.config_file(id));
        for path in layers.iter().map(|layer| self.recipe_file(layer)).chain(configs) {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}
