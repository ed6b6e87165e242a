//! The local image store.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg};

use super::blobs::Blobs;
use super::flights::Flights;
use super::index::{Entry, Index};
use super::manifest::ImageConfig;
use super::pull::Outcome;
use super::registry::Clients;
use super::stage::Stage;
use super::turns::Turns;
use super::unpacking::Unpacking;
use super::held::{Held, Hold};
use super::{Reference, import, mounted};
use crate::limits::Waits;
use crate::{Config, Credentials, Error, Image, Result, Space};

/// See the module above. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Where the store is, and what it fetches.
#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    /// What is said about registries.
    registries: Option<PathBuf>,
    waits: Waits,
    clients: Clients,
    turns: Arc<Turns>,
    /// By name and credentials.
    pulls: Flights<(String, Option<Credentials>), Outcome>,
    blobs: Blobs,
    unpacking: Unpacking,
    held: Arc<Held>,
}

/// An image to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    /// What it says about its processes.
    pub config: ImageConfig,
    /// Layer directories, lowest first.
    pub layers: Vec<String>,
    /// They stay as long as this does.
    _hold: Hold,
}

/// A layer directory that waits for its final name.
pub(super) struct Staged {
    /// Its final name.
    pub name: String,
    /// Where it is; `None` when the store has it already.
    pub dir: Option<PathBuf>,
    /// Bytes.
    pub size: u64,
}

impl Store {
    /// Opens or makes the store in `dir`. Several processes may have it open.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(dir.into(), None, Waits::default())
    }

    /// The store of a runtime: with what the node's owner says about registries.
    pub fn of(config: &Config) -> Result<Self> {
        Self::open_with(config.images(), Some(config.registries()), Waits::default())
    }

    /// [`Store::open`] with a configuration of registries and other times to wait for them.
    pub(super) fn open_with(dir: PathBuf, registries: Option<PathBuf>, waits: Waits) -> Result<Self> {
        let blobs = Blobs::new(dir.join("blobs"));
        let (clients, turns, pulls) = (Clients::default(), Turns::new(), Flights::default());
        let (unpacking, held) = (Unpacking::new(), Arc::default());
        let inner = Inner { dir, registries, waits, clients, turns, pulls, blobs, unpacking, held };
        let store = Self { inner: Arc::new(inner) };
        let make = || -> io::Result<()> {
            fs::create_dir_all(store.layers_dir())?;
            fs::create_dir_all(store.tmp())?;
            store.inner.blobs.sweep()?;
            Stage::sweep(&store.tmp())
        };
        make().map_err(|e| store.fail(&e))?;
        Ok(store)
    }

    /// All images.
    pub fn list(&self) -> Result<Vec<Image>> {
        let index = self.read()?;
        Ok(index.images.iter().map(|(id, entry)| index.show(id, entry)).collect())
    }

    /// An image by name, digest or id.
    pub fn find(&self, name: &str) -> Result<Option<Image>> {
        let index = self.read()?;
        Ok(index.find(name).map(|(id, entry)| index.show(id, entry)))
    }

    /// Imports the images in a docker-archive or OCI layout: a directory, or a tar file, compressed or not.
    pub fn import(&self, path: &Path) -> Result<Vec<Image>> {
        import::import(self, path)
    }

    /// Takes a name from an image, or with an id removes the image; files go when nothing needs them:
    /// no image, and none of the layers in `used`.
    pub fn remove(&self, name: &str, used: &[String]) -> Result<()> {
        let lock = self.lock()?;
        let mut index = self.read()?;
        let missing = || Error::NotFound(format!("image {name}"));
        let id = index.find(name).map(|(id, _)| id.clone()).ok_or_else(missing)?;
        let by_id = id == name || id.ends_with(&format!(":{name}"));
        if !by_id && let Some(entry) = index.images.get_mut(&id) {
            let reference = Reference::parse(name)?;
            let tagged = reference.tagged();
            match &reference.digest {
                Some(digest) => entry.digests.retain(|have| *have != reference.with_digest(digest)),
                None => entry.tags.retain(|have| Some(have) != tagged.as_ref()),
            }
            // Digests name what was fetched under a tag; they go with the last of its repository.
            let repository = format!("{}:", reference.repository());
            if !entry.tags.iter().any(|tag| tag.starts_with(&repository)) {
                let digests = format!("{}@", reference.repository());
                entry.digests.retain(|have| !have.starts_with(&digests));
            }
        }
        if by_id || index.images.get(&id).is_some_and(|entry| entry.tags.is_empty() && entry.digests.is_empty()) {
            index.images.remove(&id);
        }
        let mounted = mounted::mounted_layers();
        // Who opens an image from now on finds it gone.
        let held = self.inner.held.look();
        let kept = |layer: &String| used.contains(layer) || mounted.contains(layer) || held.contains(layer);
        let doomed: Vec<String> = index.unused_layers().into_iter().filter(|layer| !kept(layer)).collect();
        index.layers.retain(|layer, _| !doomed.contains(layer));
        // The index first: a crash in between leaves a directory that nobody knows, never a name without files.
        self.write(&index)?;
        drop(held);
        self.forget(&index, &id, &doomed).map_err(|e| self.fail(&e))?;
        for layer in doomed {
            crate::remove_tree(&self.layers_dir().join(layer)).map_err(|e| self.fail(&e))?;
        }
        drop(lock);
        Ok(())
    }

    /// The disk that images are on.
    pub fn disk(&self) -> Result<Space> {
        Space::of(&self.inner.dir).map_err(|e| self.fail(&e))
    }

    /// An image to run. Its layers stay, also when it is removed, until this is dropped.
    pub(crate) fn open_image(&self, name: &str) -> Result<Local> {
        let mut held = self.inner.held.look();
        let index = self.read()?;
        let (_, entry) = index.find(name).ok_or_else(|| Error::NotFound(format!("image {name}")))?;
        let hold = held.hold(&self.inner.held, &entry.layers);
        Ok(Local { config: entry.config.clone(), layers: entry.layers.clone(), _hold: hold })
    }

    /// Directory of the layers.
    pub(crate) fn layers_dir(&self) -> PathBuf {
        self.inner.dir.join("layers")
    }

    /// A file or directory of the store.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.inner.dir.join(name)
    }

    /// Directory for work in progress.
    pub(super) fn tmp(&self) -> PathBuf {
        self.inner.dir.join("tmp")
    }

    /// How long it waits for registries.
    pub(super) fn waits(&self) -> Waits {
        self.inner.waits
    }

    /// What it speaks to registries with.
    pub(super) fn clients(&self) -> &Clients {
        &self.inner.clients
    }

    /// Where it is said how registries are spoken to.
    pub(super) fn registries(&self) -> Option<&Path> {
        self.inner.registries.as_deref()
    }

    /// Who may fetch.
    pub(super) fn turns(&self) -> &Arc<Turns> {
        &self.inner.turns
    }

    /// Images that are being fetched.
    pub(super) fn pulls(&self) -> &Flights<(String, Option<Credentials>), Outcome> {
        &self.inner.pulls
    }

    /// Blobs that are being fetched.
    pub(super) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Who may unpack.
    pub(super) fn unpacking(&self) -> &Unpacking {
        &self.inner.unpacking
    }

    /// Keeps other processes from changing the store.
    pub(super) fn lock(&self) -> Result<Flock<File>> {
        let file = File::create(self.inner.dir.join("lock")).map_err(|e| self.fail(&e))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| self.fail(&e))
    }

    /// The index now.
    pub(super) fn read(&self) -> Result<Index> {
        Index::read(&self.inner.dir.join("index.json")).map_err(|e| self.fail(&e))
    }

    /// Replaces it. The caller holds the lock.
    pub(super) fn write(&self, index: &Index) -> Result<()> {
        index.write(&self.inner.dir.join("index.json")).map_err(|e| self.fail(&e))
    }

    /// Gives staged layers their names and enters the image. The caller holds the lock and has synced the layers.
    /// `config` is the image's configuration file, where it has one.
    pub(super) fn commit(&self, id: &str, config: &[u8], mut entry: Entry, layers: Vec<Staged>) -> Result<Image> {
        let mut index = self.read()?;
        if !config.is_empty() {
            self.keep_config(id, config).map_err(|e| self.fail(&e))?;
        }
        entry.layers = layers.iter().map(|layer| layer.name.clone()).collect();
        for layer in layers {
            let Some(dir) = layer.dir else { continue };
            let target = self.layers_dir().join(&layer.name);
            if index.layers.insert(layer.name, layer.size).is_none() {
                // One without an entry is what a crash left.
                crate::remove_tree(&target).map_err(|e| self.fail(&e))?;
                fs::rename(&dir, &target).map_err(|e| self.fail(&e))?;
                self.keep_recipe(&dir, &target).map_err(|e| self.fail(&e))?;
            }
        }
        index.put(id, entry);
        self.write(&index)?;
        match index.images.get(id) {
            Some(entry) => Ok(index.show(id, entry)),
            None => Err(Error::NotFound(format!("image {id}"))),
        }
    }

    /// Words a failure of the store itself.
    pub(super) fn fail(&self, error: &dyn std::fmt::Display) -> Error {
        Error::System(format!("image store {}: {error}", self.inner.dir.display()))
    }
}
