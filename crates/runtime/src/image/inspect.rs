//! Images as people look at them, name them, and clear them away.

use std::io::Read;

use serde_json::{Value, json};

use super::index::{Entry, Index};
use super::manifest::ConfigFile;
use super::mounted;
use super::store::{Local, Store};
use super::{Reference, broken};
use crate::{Error, Image, Result, limits};

/// An image with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// The image.
    pub image: Image,
    /// Its configuration file; of one that was made of a program, or entered by an older Ironclad, what is known of it.
    pub config: Value,
    /// Its layers, lowest first: directory and bytes.
    pub layers: Vec<(String, u64)>,
}

/// What [`Store::prune`] has removed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pruned {
    /// Images.
    pub images: Vec<Image>,
    /// Bytes of layers that are gone with them.
    pub bytes: u64,
}

impl Store {
    /// Everything that is known of an image.
    pub fn inspect(&self, name: &str) -> Result<Inspected> {
        let index = self.read()?;
        let (id, entry) = index.find(name).ok_or_else(|| Error::NotFound(format!("image {name}")))?;
        let config = match self.raw_config(id)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| self.fail(&e))?,
            None => json!({"config": entry.config}),
        };
        let size = |layer: &String| (layer.clone(), index.layers.get(layer).copied().unwrap_or(0));
        Ok(Inspected { image: index.show(id, entry), config, layers: entry.layers.iter().map(size).collect() })
    }

    /// Gives an image one more name; it leaves the image that had it.
    pub fn tag(&self, name: &str, new: &str) -> Result<Image> {
        let reference = Reference::parse(new)?;
        if reference.digest.is_some() {
            return Err(broken(format!("{new:?}: a name with a digest cannot be given")));
        }
        let lock = self.lock()?;
        let mut index = self.read()?;
        let found = index.find(name).map(|(id, entry)| (id.clone(), entry.clone()));
        let (id, entry) = found.ok_or_else(|| Error::NotFound(format!("image {name}")))?;
        let mut tags: Vec<String> = reference.tagged().into_iter().collect();
        tags.extend(entry.tags.iter().filter(|tag| Some(*tag) != reference.tagged().as_ref()).cloned());
        index.images.remove(&id);
        index.put(&id, Entry { tags, ..entry });
        self.write(&index)?;
        drop(lock);
        index.find(&id).map(|(id, entry)| index.show(id, entry)).ok_or_else(|| Error::NotFound(format!("image {id}")))
    }

    /// Removes images that nothing uses: no layer of `used`, no mount. Those that came from files stay, unless `all`.
    pub fn prune(&self, used: &[String], all: bool) -> Result<Pruned> {
        let index = self.read()?;
        let mounted = mounted::mounted_layers();
        // The topmost layer tells images apart; who runs one stands on it.
        let idle = |entry: &Entry| !entry.layers.last().is_some_and(|layer| used.contains(layer) || mounted.contains(layer));
        let mut pruned = Pruned::default();
        for (id, entry) in index.images.iter().filter(|(_, entry)| (all || !entry.pinned) && idle(entry)) {
            self.remove(id, used)?;
            pruned.images.push(index.show(id, entry));
        }
        pruned.bytes = bytes(&index).saturating_sub(bytes(&self.read()?));
        Ok(pruned)
    }

    /// The configuration file of an image, if it is kept.
    pub(super) fn raw_config(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match std::fs::File::open(self.config_file(id)).and_then(|file| file.take(limits::DOCUMENT).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.fail(&e)),
        }
    }

    /// Layers of an image that can be made again: their directories and digests, lowest first, and its configuration.
    /// They stay as long as the last of what is returned.
    pub(super) fn parts(&self, name: &str) -> Result<(Image, Vec<u8>, Vec<(String, String)>, Local)> {
        let local = self.open_image(name)?;
        let index = self.read()?;
        let (id, entry) = index.find(name).ok_or_else(|| Error::NotFound(format!("image {name}")))?;
        let cannot = |why: &str| broken(format!("image {name} cannot be given to others: {why}"));
        let config = self.raw_config(id)?.ok_or_else(|| cannot("it was made of a program, or by an older Ironclad; fetch or import it again"))?;
        let file: ConfigFile = serde_json::from_slice(&config).map_err(|e| self.fail(&e))?;
        if file.rootfs.diff_ids.len() != entry.layers.len() {
            return Err(cannot("its configuration and its layers differ"));
        }
        if let Some(layer) = entry.layers.iter().find(|layer| !self.recipe_file(layer).is_file()) {
            return Err(cannot(&format!("layer {layer} was unpacked by an older Ironclad; remove the image and fetch or import it again")));
        }
        let layers = entry.layers.iter().cloned().zip(file.rootfs.diff_ids).collect();
        Ok((index.show(id, entry), config, layers, local))
    }
}

fn bytes(index: &Index) -> u64 {
    index.layers.values().sum()
}
