//! What the store holds: one small file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::manifest::ImageConfig;
use super::reference::Reference;
use crate::{Image, disk};

/// `index.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    /// By id.
    pub images: BTreeMap<String, Entry>,
    /// Bytes of each layer directory.
    pub layers: BTreeMap<String, u64>,
}

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// What it says about its processes.
    pub config: ImageConfig,
    /// Layer directories, lowest first.
    pub layers: Vec<String>,
    /// Names with tags.
    pub tags: Vec<String>,
    /// Names with digests.
    pub digests: Vec<String>,
    /// It came from a file of this machine.
    #[serde(default)]
    pub pinned: bool,
}

impl Index {
    /// Reads it; a store without one is empty.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Ok(disk::read_json(path)?.unwrap_or_default())
    }

    /// Replaces it, durably.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        disk::write_json(path, self, true)
    }

    /// Adds or renews an image; its names leave the images that had them.
    pub(super) fn put(&mut self, id: &str, entry: Entry) {
        for other in self.images.values_mut() {
            other.tags.retain(|tag| !entry.tags.contains(tag));
        }
        let mut entry = entry;
        if let Some(old) = self.images.remove(id) {
            entry.tags.extend(old.tags);
            entry.pinned |= old.pinned;
            entry
                .digests
                .extend(old.digests.into_iter().filter(|digest| !entry.digests.contains(digest)).collect::<Vec<_>>());
        }
        self.images.insert(id.to_owned(), entry);
    }

    /// Finds by id, tag or digest. The digest counts when a name has both, as Docker has it.
    pub(super) fn find(&self, name: &str) -> Option<(&String, &Entry)> {
        if let Some(found) = self.images.get_key_value(name) {
            return Some(found);
        }
        if name.len() == 64
            && let Some(found) = self.images.get_key_value(&format!("sha256:{name}"))
        {
            return Some(found);
        }
        let reference = Reference::parse(name).ok()?;
        match (&reference.digest, reference.tagged()) {
            (Some(digest), _) => {
                let full = reference.with_digest(digest);
                self.images.iter().find(|(_, entry)| entry.digests.contains(&full))
            }
            (None, Some(tagged)) => self.images.iter().find(|(_, entry)| entry.tags.contains(&tagged)),
            (None, None) => None,
        }
    }

    /// An image in the trait's words.
    pub(super) fn show(&self, id: &str, entry: &Entry) -> Image {
        let user = entry.config.user.split(':').next().unwrap_or_default();
        let uid = user.parse().ok();
        Image {
            id: id.to_owned(),
            tags: entry.tags.clone(),
            digests: entry.digests.clone(),
            size: entry.layers.iter().filter_map(|layer| self.layers.get(layer)).sum(),
            uid,
            pinned: entry.pinned,
            username: if uid.is_none() { user.to_owned() } else { String::new() },
        }
    }

    /// Layers that no image needs.
    pub(super) fn unused_layers(&self) -> Vec<String> {
        let needed = |layer: &String| self.images.values().any(|entry| entry.layers.contains(layer));
        self.layers.keys().filter(|layer| !needed(layer)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_move_and_layers_are_counted() {
        let layers = [("a".to_owned(), 5), ("b".to_owned(), 7)].into();
        let mut index = Index { layers, ..Index::default() };
        let entry = |layer: &str| Entry {
            layers: vec![layer.into()],
            tags: vec!["docker.io/library/x:latest".into()],
            ..Entry::default()
        };
        index.put("sha256:1", entry("a"));
        index.put("sha256:2", entry("b"));
        let (id, found) = index.find("x").unwrap();
        assert_eq!((id.as_str(), index.show(id, found).size), ("sha256:2", 7));
        assert!(index.images["sha256:1"].tags.is_empty());
        assert!(index.unused_layers().is_empty());
        index.images.remove("sha256:1");
        assert_eq!(index.unused_layers(), ["a"]);
        assert!(index.find("y").is_none());
    }
}
