//! Images from registries.

use std::io::Read;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference as Remote};
use tokio::io::AsyncWriteExt;

use super::import::{self, Layers};
use super::index::Entry;
use super::manifest::{Descriptor, Manifest};
use super::reference::is_digest;
use super::stage::{self, Stage};
use super::store::Store;
use super::{Reference, broken};
use crate::{Credentials, Error, Image, Result};

/// Kinds of manifests that are understood.
const ACCEPT: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
/// Layers fetched at once, as containerd.
const PARALLEL: usize = 3;
/// Largest configuration file.
const MAX_CONFIG: i64 = 16 << 20;

impl Store {
    /// Fetches an image; layers that are here already are not fetched again.
    pub(crate) async fn pull(&self, name: &str, credentials: Option<&Credentials>) -> Result<Image> {
        let reference = Reference::parse(name)?;
        let fetch = Fetch::new(&reference, credentials);
        let work = Stage::new(&self.tmp()).map_err(|e| self.fail(&e))?;
        let (manifest, digest) = fetch.manifest().await?;
        let config = manifest.config.as_ref().ok_or_else(|| fetch.broken("its manifest has no configuration"))?;
        if config.size > MAX_CONFIG {
            return Err(fetch.broken("its configuration is too large"));
        }
        let config_file = work.path().join("config.json");
        fetch.blob(config, &config_file).await?;
        let config = tokio::fs::read(&config_file).await.map_err(|e| self.fail(&e))?;
        let wanted = self.missing(&config, &manifest.layers)?;
        let jobs = wanted.into_iter().map(|(index, layer)| {
            let (fetch, path) = (&fetch, blob_path(work.path(), index));
            async move { fetch.blob(&layer, &path).await }
        });
        futures::stream::iter(jobs).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        let entry = Entry {
            tags: if reference.digest.is_none() { reference.tagged().into_iter().collect() } else { Vec::new() },
            digests: vec![reference.with_digest(&digest)],
            ..Entry::default()
        };
        let store = self.clone();
        let unpacked = tokio::task::spawn_blocking(move || {
            let lock = store.lock()?;
            let layers = Fetched { dir: work.path().to_path_buf(), layers: &manifest.layers };
            let image = import::enter(&store, &work, &config, entry, &layers, manifest.layers.len())?;
            drop(lock);
            Ok(image)
        });
        unpacked.await.map_err(|e| self.fail(&e))?
    }

    /// Layers that the store lacks, with their numbers.
    fn missing(&self, config: &[u8], layers: &[Descriptor]) -> Result<Vec<(usize, Descriptor)>> {
        let file: super::manifest::ConfigFile = serde_json::from_slice(config)
            .map_err(|e| broken(format!("the image's configuration is unreadable: {e}")))?;
        let have = self.read()?.layers;
        let ids = &file.rootfs.diff_ids;
        let lacks = |index: usize| ids.get(index).is_none_or(|id| !have.contains_key(&stage::layer_name(id)));
        Ok(layers.iter().cloned().enumerate().filter(|(index, _)| lacks(*index)).collect())
    }
}

fn blob_path(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("layer-{index}"))
}

struct Fetched<'a> {
    dir: PathBuf,
    layers: &'a [Descriptor],
}

impl Layers for Fetched<'_> {
    fn open(&self, index: usize) -> std::io::Result<(Box<dyn Read>, Option<String>)> {
        let file = std::fs::File::open(blob_path(&self.dir, index))?;
        Ok((Box::new(file), self.layers.get(index).map(|layer| layer.digest.clone())))
    }
}

/// One image of one registry.
struct Fetch {
    name: String,
    client: Client,
    remote: Remote,
    auth: RegistryAuth,
}

impl Fetch {
    fn new(reference: &Reference, credentials: Option<&Credentials>) -> Self {
        let protocol = if reference.is_loopback() { ClientProtocol::Http } else { ClientProtocol::Https };
        let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
        let (domain, path) = (reference.domain.clone(), reference.path.clone());
        let remote = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => Remote::with_digest(domain, path, digest.clone()),
            (None, tag) => Remote::with_tag(domain, path, tag.clone().unwrap_or_else(|| "latest".to_owned())),
        };
        let auth = credentials
            .map_or(RegistryAuth::Anonymous, |c| RegistryAuth::Basic(c.username.clone(), c.password.clone()));
        Self { name: reference.to_string(), client, remote, auth }
    }

    fn broken(&self, why: &str) -> Error {
        broken(format!("failed to pull image \"{}\": {why}", self.name))
    }

    fn failed(&self, error: &OciDistributionError) -> Error {
        let reason = match error {
            OciDistributionError::RequestError(_) => "RegistryUnavailable",
            _ => "ErrImagePull",
        };
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        // The outermost text of a failed connection says only that it failed.
        while let Some(inner) = source {
            why = format!("{why}: {inner}");
            source = inner.source();
        }
        let message = match error {
            OciDistributionError::ImageManifestNotFoundError(_) => format!("{}: not found", self.name),
            _ => why,
        };
        Error::Image { reason, message: format!("failed to pull and unpack image \"{}\": {message}", self.name) }
    }

    /// The manifest for this machine, and the digest of what the name stands for.
    async fn manifest(&self) -> Result<(Manifest, String)> {
        let (bytes, digest) = self.document(&self.remote).await?;
        let mut manifest: Manifest = self.parse(&bytes)?;
        if manifest.config.is_none() {
            let entry = manifest.for_this_machine().ok_or_else(|| {
                self.broken(&format!("no match for platform linux/{}", super::manifest::architecture()))
            })?;
            let (bytes, _) = self.document(&self.remote.clone_with_digest(entry.digest.clone())).await?;
            manifest = self.parse(&bytes)?;
        }
        Ok((manifest, digest))
    }

    async fn document(&self, remote: &Remote) -> Result<(bytes::Bytes, String)> {
        let (bytes, _) =
            self.client.pull_manifest_raw(remote, &self.auth, &ACCEPT).await.map_err(|e| self.failed(&e))?;
        let digest = stage::digest(&bytes);
        match remote.digest() {
            Some(wanted) if wanted != digest => {
                Err(self.broken(&format!("its manifest has digest {digest} instead of {wanted}")))
            }
            _ => Ok((bytes, digest)),
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Manifest> {
        Manifest::parse(bytes).map_err(|e| self.broken(&format!("its manifest is unreadable: {e}")))
    }

    /// A blob into a file. The registry library verifies its digest; the layer's is verified once more on unpacking.
    async fn blob(&self, descriptor: &Descriptor, path: &Path) -> Result<()> {
        if !is_digest(&descriptor.digest) {
            return Err(self.broken(&format!("{:?} is no digest", descriptor.digest)));
        }
        let stream = self.client.pull_blob_stream(&self.remote, descriptor.digest.as_str()).await;
        let mut stream = stream.map_err(|e| self.failed(&e))?;
        let fail = |e: std::io::Error| self.broken(&e.to_string());
        let mut file = tokio::fs::File::create(path).await.map_err(fail)?;
        while let Some(chunk) = stream.next().await {
            file.write_all(&chunk.map_err(fail)?).await.map_err(fail)?;
        }
        file.flush().await.map_err(fail)
    }
}
