//! Images from files: `docker save` archives and OCI layouts.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::archive::Archive;
use super::index::Entry;
use super::manifest::{ConfigFile, Descriptor, DockerImage, ImageConfig, Manifest};
use super::reference::is_digest;
use super::search::{self, Search, Seen};
use super::stage::{self, Stage};
use super::store::{Staged, Store};
use super::{Reference, broken, platform};
use crate::{Error, Image, Result, limits};

/// An image found in an archive.
struct Found {
    config: Vec<u8>,
    /// File name and, if known, digest of each layer.
    layers: Vec<(String, Option<String>)>,
    tags: Vec<String>,
    digests: Vec<String>,
}

/// Where the layers of an image come from.
pub(super) trait Layers {
    /// The stream of layer `index`, and its digest if known.
    fn open(&self, index: usize) -> std::io::Result<(Box<dyn Read>, Option<String>)>;
}

/// See [`Store::import`].
pub(super) fn import(store: &Store, path: &Path) -> Result<Vec<Image>> {
    // Noise in a file must not become noise on the terminal.
    let clean = |why: &str| why.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect::<String>();
    let no_image = |why: &str| Error::Image {
        reason: "InvalidImage",
        message: format!(
            "{} is not a container image: {}; expected a docker-archive (as `docker save` writes it) or an OCI \
             layout, as a directory or a tar file",
            path.display(),
            clean(why)
        ),
    };
    if !path.exists() {
        return Err(Error::NotFound(format!("image file {}", path.display())));
    }
    let lock = store.lock()?;
    let work = Stage::new(&store.tmp()).map_err(|e| store.fail(&e))?;
    let archive = Archive::open(path, work.path()).map_err(|e| no_image(&e.to_string()))?;
    let found = if archive.has("manifest.json") {
        docker(&archive)
    } else if archive.has("index.json") {
        layout(&archive)
    } else {
        return Err(no_image("it has neither manifest.json nor index.json"));
    };
    let found = found.map_err(|why| no_image(&why))?;
    if found.is_empty() {
        return Err(no_image("it holds no image for this machine"));
    }
    let mut images = Vec::new();
    for image in &found {
        let entry = Entry { tags: image.tags.clone(), digests: image.digests.clone(), pinned: true, ..Entry::default() };
        let layers = InArchive { archive: &archive, image };
        images.push(enter(store, &work, &image.config, entry, &layers, image.layers.len())?);
    }
    drop(lock);
    Ok(images)
}

/// Unpacks what is missing, and enters the image. The caller holds the lock.
pub(super) fn enter(
    store: &Store,
    work: &Stage,
    config: &[u8],
    mut entry: Entry,
    layers: &dyn Layers,
    count: usize,
) -> Result<Image> {
    let (process, staged) = unpack(store, work, config, layers, count)?;
    entry.config = process;
    store.commit(&stage::digest(config), config, entry, staged)
}

/// The same without the lock, which is held only at the end: unpacking takes long. A layer that was there may be removed
/// meanwhile.
pub(super) fn enter_apart(
    store: &Store, config: &[u8], entry: &Entry, layers: &dyn Layers, count: usize,
) -> Result<Image> {
    loop {
        let work = Stage::new(&store.tmp()).map_err(|e| store.fail(&e))?;
        let (process, staged) = unpack(store, &work, config, layers, count)?;
        let lock = store.lock()?;
        let have = store.read()?.layers;
        let made = |name: &String| staged.iter().any(|layer| layer.name == *name && layer.dir.is_some());
        if staged.iter().all(|layer| made(&layer.name) || have.contains_key(&layer.name)) {
            let entry = Entry { config: process, ..entry.clone() };
            let image = store.commit(&stage::digest(config), config, entry, staged);
            drop(lock);
            return image;
        }
    }
}

fn unpack(
    store: &Store, work: &Stage, config: &[u8], layers: &dyn Layers, count: usize,
) -> Result<(ImageConfig, Vec<Staged>)> {
    let file: ConfigFile =
        serde_json::from_slice(config).map_err(|e| broken(format!("the image's configuration is unreadable: {e}")))?;
    let ids = &file.rootfs.diff_ids;
    if ids.len() > limits::LAYERS {
        return Err(broken(format!("the image has {} layers, at most {} can be mounted", ids.len(), limits::LAYERS)));
    }
    if ids.len() != count || !ids.iter().all(|id| is_digest(id)) {
        return Err(broken(format!("the image's configuration names {} layers, its manifest {count}", ids.len())));
    }
    let have = store.read()?.layers;
    let mut room = stage::Room::of(work.path()).map_err(|e| store.fail(&e))?;
    let mut staged: Vec<Staged> = Vec::new();
    let mut below: Vec<PathBuf> = Vec::new();
    for (index, (diff_id, name)) in ids.iter().zip(stage::layer_names(ids)).enumerate() {
        if have.contains_key(&name) {
            below.insert(0, store.layers_dir().join(&name));
            staged.push(Staged { name, dir: None, size: 0 });
            continue;
        }
        let dir = work.path().join(&name);
        let unpacked =
            layers.open(index).and_then(|(stream, digest)| stage::layer(stream, (digest.as_deref(), diff_id), &dir, &below, &mut room));
        let size = unpacked.map_err(|e| broken(format!("layer {} of the image: {e}", index + 1)))?;
        below.insert(0, dir.clone());
        staged.push(Staged { name, dir: Some(dir), size });
    }
    if staged.iter().any(|layer| layer.dir.is_some()) {
        stage::sync(work.path()).map_err(|e| store.fail(&e))?;
    }
    Ok((file.config, staged))
}

struct InArchive<'a> {
    archive: &'a Archive,
    image: &'a Found,
}

impl Layers for InArchive<'_> {
    fn open(&self, index: usize) -> std::io::Result<(Box<dyn Read>, Option<String>)> {
        let (name, digest) = &self.image.layers[index];
        Ok((self.archive.stream(name)?, digest.clone()))
    }
}

type Parsed<T> = std::result::Result<T, String>;

fn json<T: DeserializeOwned>(archive: &Archive, name: &str) -> Parsed<T> {
    let bytes = archive.document(name).map_err(|e| e.to_string())?;
    serde_json::from_slice(&bytes).map_err(|e| format!("{name} is unreadable ({e})"))
}

fn tags<'a>(names: impl IntoIterator<Item = &'a String>) -> Parsed<Vec<String>> {
    let mut found = Vec::new();
    for name in names {
        found.extend(Reference::parse(name).map_err(|e| e.to_string())?.tagged());
    }
    Ok(found)
}

fn docker(archive: &Archive) -> Parsed<Vec<Found>> {
    let images: Vec<DockerImage> = json(archive, "manifest.json")?;
    let find = |image: DockerImage| {
        Ok(Found {
            config: archive.document(&image.config).map_err(|e| e.to_string())?,
            layers: image.layers.into_iter().map(|name| (name, None)).collect(),
            tags: tags(&image.tags)?,
            digests: Vec::new(),
        })
    };
    images.into_iter().map(find).collect()
}

fn layout(archive: &Archive) -> Parsed<Vec<Found>> {
    let bytes = archive.document("index.json").map_err(|e| e.to_string())?;
    let index = Manifest::parse(&bytes).map_err(|e| format!("index.json is unreadable ({e})"))?;
    let machine = platform::here();
    let mut entries: Vec<(usize, &Descriptor)> =
        index.manifests.iter().filter_map(|entry| Some((search::rank(&machine, entry)?, entry))).collect();
    // One name may stand for several machines: it goes to the best.
    entries.sort_by_key(|(rank, _)| *rank);
    let (mut found, mut trouble): (Vec<Found>, _) = (Vec::new(), None);
    for (_, entry) in entries {
        match one_of_layout(archive, entry) {
            Ok(None) => {}
            Ok(Some(mut image)) => {
                let others: Vec<String> = found.iter().flat_map(|other| other.tags.iter().cloned()).collect();
                let named = !image.tags.is_empty();
                image.tags.retain(|tag| !others.contains(tag));
                if !named || !image.tags.is_empty() {
                    found.push(image);
                }
            }
            // What says that it is for this machine must be there; beside an image, what does not may be anything.
            Err(why) if entry.platform.is_some() => return Err(why),
            Err(why) => trouble = Some(why),
        }
    }
    match trouble {
        Some(why) if found.is_empty() => Err(why),
        _ => Ok(found),
    }
}

/// The image that an entry of the index leads to; none when it is for other machines, or no image.
fn one_of_layout(archive: &Archive, entry: &Descriptor) -> Parsed<Option<Found>> {
    let mut search = Search::listed(entry.clone());
    while let Some(step) = search.next()? {
        let digest = &step.descriptor.digest;
        let bytes = verified(archive, digest)?;
        let seen = search.take(&step, &bytes).map_err(|e| format!("blob {digest} is unreadable ({e})"))?;
        let Seen::Image(manifest) = seen else { continue };
        let config = verified(archive, &manifest.checked()?.digest)?;
        // What is unreadable is told when it is entered.
        let runs = serde_json::from_slice(&config).map_or(true, |file: ConfigFile| search.runs(&step, &file));
        if runs {
            return describe(entry, &manifest, config).map(Some);
        }
    }
    Ok(None)
}

fn describe(entry: &Descriptor, manifest: &Manifest, config: Vec<u8>) -> Parsed<Found> {
    let names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
    let full = names.iter().filter_map(|key| entry.annotations.get(*key)).find(|name| name.contains(['/', ':']));
    let bare = names.iter().filter_map(|key| entry.annotations.get(*key)).next();
    let tags = tags(full.or(bare))?;
    let digests = tags.iter().filter_map(|tag| Reference::parse(tag).ok()).map(|name| name.with_digest(&entry.digest));
    let layers = manifest.layers.iter().map(|l| Ok((path(&l.digest)?, Some(l.digest.clone()))));
    Ok(Found { config, layers: layers.collect::<Parsed<_>>()?, digests: digests.collect(), tags })
}

fn path(digest: &str) -> Parsed<String> {
    if !is_digest(digest) {
        return Err(format!("{digest:?} is no digest"));
    }
    Ok(format!("blobs/{}", digest.replacen(':', "/", 1)))
}

fn verified(archive: &Archive, digest: &str) -> Parsed<Vec<u8>> {
    let bytes = archive.document(&path(digest)?).map_err(|e| e.to_string())?;
    let found = stage::digest(&bytes);
    if found == digest { Ok(bytes) } else { Err(format!("a blob has digest {found} instead of {digest}")) }
}
