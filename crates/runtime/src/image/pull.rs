//! Images from registries.
//!
//! An image is fetched once for all who want it at the same time with the same credentials. Who fetches has a turn
//! ([`Turns`](super::turns::Turns)), which ends before anything is unpacked.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::blobs::{Blob, Order};
use super::import::{self, Layers};
use super::index::Entry;
use super::manifest::{ConfigFile, Descriptor, Manifest};
use super::platform;
use super::registry::{Session, Trouble};
use super::search::{Search, Seen};
use super::stage;
use super::store::Store;
use super::turns::Ear;
use super::{Reference, broken};
use crate::{Error, Image, Result, limits};

/// A fetched image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// How long this call waited before fetching began.
    pub waited: Duration,
}

/// Credentials for one registry.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// User.
    pub username: String,
    /// Password or token.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What all who wait for one image get: the image, and when fetching it began.
pub(super) type Outcome = (Result<Image>, Instant);

/// An image that is here, but not unpacked.
struct Fetched {
    manifest: Manifest,
    /// What the name stands for.
    digest: String,
    config: Vec<u8>,
    /// By number. Layers that the store has are not among them.
    blobs: HashMap<usize, Arc<Blob>>,
}

impl Store {
    /// Fetches an image; layers that are here already are not fetched again.
    pub async fn pull(&self, name: &str, credentials: Option<&Credentials>) -> Result<Pulled> {
        let reference = Reference::parse(name)?;
        let asked = Instant::now();
        let key = (reference.to_string(), credentials.cloned());
        let (work, _) = self.pulls().join(key, || {
            let (store, credentials) = (self.clone(), credentials.cloned());
            async move { store.pull_alone(reference, credentials).await }.boxed()
        });
        let (image, begun) = work.await;
        Ok(Pulled { image: image?, waited: begun.saturating_duration_since(asked) })
    }

    async fn pull_alone(self, reference: Reference, credentials: Option<Credentials>) -> Outcome {
        let turn = self.turns().take(&reference.domain).await;
        let begun = Instant::now();
        let fetch = self.fetch(&reference, credentials, turn.ear());
        let fetched = tokio::select! {
            fetched = fetch => fetched,
            () = turn.gives_way() => Err(Trouble::Silent {
                method: "Get",
                url: format!("https://{}/v2/", reference.domain),
                why: "the registry has sent nothing for a while, and others wait".to_owned(),
            }),
        };
        drop(turn);
        let image = match fetched {
            Ok(fetched) => self.unpack(&reference, fetched).await,
            Err(trouble) => Err(failed(&reference, &trouble)),
        };
        (image, begun)
    }

    async fn fetch(
        &self, reference: &Reference, credentials: Option<Credentials>, ear: Ear,
    ) -> std::result::Result<Fetched, Trouble> {
        let session = Session::new(self.clients(), self.waits(), self.registries(), reference, credentials.as_ref())?;
        let name = reference.digest.as_ref().or(reference.tag.as_ref()).map_or("latest", String::as_str);
        let (manifest, config, digest) = resolve(&session, name).await?;
        let wanted = self.missing(&config, &manifest.layers)?;
        let bytes: u64 = wanted.iter().map(|(_, layer)| u64::try_from(layer.size).unwrap_or(0)).fold(0, u64::saturating_add);
        self.has_room(bytes)?;
        let (host, repository) = (reference.domain.clone(), reference.path.clone());
        let order = Arc::new(Order { host, session, credentials, repository, ear });
        let jobs = wanted.into_iter().map(|(index, layer)| {
            let order = order.clone();
            async move { Ok((index, self.blobs().fetch(&order, &layer).await?)) }
        });
        let blobs = futures::stream::iter(jobs).buffer_unordered(limits::BLOBS).try_collect().await?;
        Ok(Fetched { manifest, digest, config, blobs })
    }

    /// Layers that the store lacks, with their numbers.
    fn missing(
        &self, config: &[u8], layers: &[Descriptor],
    ) -> std::result::Result<Vec<(usize, Descriptor)>, Trouble> {
        let file = parsed(config)?;
        let have = self.read().map_err(|e| Trouble::Local(e.to_string()))?.layers;
        let names = stage::layer_names(&file.rootfs.diff_ids);
        let lacks = |index: usize| names.get(index).is_none_or(|name| !have.contains_key(name));
        Ok(layers.iter().cloned().enumerate().filter(|(index, _)| lacks(*index)).collect())
    }

    /// Whether a file system that is nearly full has room for so many bytes.
    fn has_room(&self, bytes: u64) -> std::result::Result<(), Trouble> {
        let room = stage::Room::of(&self.tmp()).map_err(|e| Trouble::Local(e.to_string()))?;
        if bytes <= room.bytes {
            return Ok(());
        }
        Err(Trouble::Local(format!("no room: its layers have {bytes} bytes, and {} are left for images", room.bytes)))
    }

    async fn unpack(self, reference: &Reference, fetched: Fetched) -> Result<Image> {
        let entry = Entry {
            tags: if reference.digest.is_none() { reference.tagged().into_iter().collect() } else { Vec::new() },
            digests: vec![reference.with_digest(&fetched.digest)],
            ..Entry::default()
        };
        let base = fetched.blobs.keys().min().and_then(|index| fetched.manifest.layers.get(*index));
        let place = match base {
            Some(layer) => Some(self.unpacking().place(&layer.digest).await),
            None => None,
        };
        let store = self.clone();
        // What was begun is done, also when nobody waits for it any more: with its place.
        let unpacked = tokio::task::spawn_blocking(move || {
            let image = import::enter_apart(&store, &fetched.config, &entry, &fetched, fetched.manifest.layers.len());
            drop(place);
            image
        });
        unpacked.await.map_err(|e| self.fail(&e))?
    }
}

impl Layers for Fetched {
    fn open(&self, index: usize) -> std::io::Result<(Box<dyn Read>, Option<String>)> {
        // What the store had when fetching began may have been removed since.
        let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "it was removed while the image was fetched");
        let blob = self.blobs.get(&index).ok_or_else(missing)?;
        Ok((Box::new(blob.reader()), self.manifest.layers.get(index).map(|layer| layer.digest.clone())))
    }
}

/// The manifest for this machine and the image's configuration, and the digest of what the name stands for.
async fn resolve(session: &Session, name: &str) -> std::result::Result<(Manifest, Vec<u8>, String), Trouble> {
    let first = Descriptor { digest: name.to_owned(), ..Descriptor::default() };
    let (mut search, mut named) = (Search::named(first), None);
    while let Some(step) = search.next().map_err(Trouble::Wrong)? {
        let bytes = document(session, &step.descriptor.digest).await?;
        let digest = named.get_or_insert_with(|| stage::digest(&bytes)).clone();
        let seen = search.take(&step, &bytes).map_err(|e| Trouble::Wrong(format!("its manifest is unreadable: {e}")))?;
        let Seen::Image(manifest) = seen else { continue };
        let config = manifest.checked().map_err(Trouble::Wrong)?;
        let config = verified(&config.digest, session.document(&config.digest).await?)?;
        if search.runs(&step, &parsed(&config)?) {
            return Ok((manifest, config, digest));
        }
    }
    let here = platform::here();
    Err(Trouble::Wrong(format!("no match for platform in manifest: {}/{}", here.os, here.architecture)))
}

fn parsed(config: &[u8]) -> std::result::Result<ConfigFile, Trouble> {
    serde_json::from_slice(config).map_err(|e| Trouble::Wrong(format!("the image's configuration is unreadable: {e}")))
}

/// A manifest or index; where its name is a digest it must have that.
async fn document(session: &Session, name: &str) -> std::result::Result<Vec<u8>, Trouble> {
    let bytes = session.manifest(name).await?;
    if name.contains(':') { verified(name, bytes) } else { Ok(bytes) }
}

fn verified(wanted: &str, bytes: Vec<u8>) -> std::result::Result<Vec<u8>, Trouble> {
    let found = stage::digest(&bytes);
    if found == wanted { Ok(bytes) } else { Err(Trouble::Wrong(format!("a document has digest {found} instead of {wanted}"))) }
}

/// The words of a failed fetch. A registry that could not be reached has a reason of its own.
fn failed(reference: &Reference, trouble: &Trouble) -> Error {
    let what = match trouble {
        Trouble::NotFound => format!("{reference}: not found"),
        other => other.to_string(),
    };
    let message = format!("failed to pull and unpack image \"{reference}\": {what}");
    match trouble {
        Trouble::Silent { .. } => Error::Image { reason: "RegistryUnavailable", message },
        _ => broken(message),
    }
}
