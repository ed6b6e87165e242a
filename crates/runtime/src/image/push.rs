//! Images to registries, with the ids that they have here; layers are compressed on the way.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::counting::Counting;
use super::registry::{Content, Push, Trouble};
use super::save::{CONFIG, MANIFEST};
use super::stage::{self, Stage};
use super::store::Store;
use super::{Reference, broken, recipe};
use crate::{Credentials, Result};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

impl Store {
    /// Sends an image to the registry that its name is of; the digest of its manifest there.
    pub async fn push(&self, name: &str, credentials: Option<&Credentials>) -> Result<String> {
        let reference = Reference::parse(name)?;
        let Some(tag) = reference.tag.clone().filter(|_| reference.digest.is_none()) else {
            return Err(broken(format!("{name:?}: an image is pushed by a name with a tag")));
        };
        let (_, config, layers, _stay) = self.parts(name)?;
        let fail = |trouble: &Trouble| broken(format!("failed to push image \"{reference}\": {trouble}"));
        let push = Push::new(self.clients(), self.waits(), self.registries(), &reference, credentials).map_err(|e| fail(&e))?;
        let mut described = Vec::new();
        for (layer, digest) in layers {
            let store = self.clone();
            // What lies in `tmp` goes when it was sent.
            let packed = tokio::task::spawn_blocking(move || store.pack(&layer, &digest)).await.map_err(|e| self.fail(&e))?;
            let (work, file, digest, size) = packed.map_err(|e| self.fail(&e))?;
            let content = Content::File(Arc::new(file), size);
            push.blob(&digest, &content).await.map_err(|e| fail(&e))?;
            drop(work);
            described.push(describe(LAYER, &digest, size));
        }
        let digest = stage::digest(&config);
        let config_entry = describe(CONFIG, &digest, config.len() as u64);
        push.blob(&digest, &Content::Bytes(Bytes::from(config))).await.map_err(|e| fail(&e))?;
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config_entry, "layers": described}).to_string();
        let digest = stage::digest(manifest.as_bytes());
        push.manifest(&tag, MANIFEST, Bytes::from(manifest)).await.map_err(|e| fail(&e))?;
        Ok(digest)
    }

    /// A layer as a compressed tar file; with its digest and size, and the directory that it is in.
    fn pack(&self, layer: &str, digest: &str) -> io::Result<(Stage, std::fs::File, String, u64)> {
        let work = Stage::new(&self.tmp())?;
        let path = work.path().join("layer.tar.gz");
        let out = Counting::new(BufWriter::new(std::fs::File::create_new(&path)?));
        // The same bytes each time: a registry that has them need not get them again.
        let mut out = GzEncoder::new(out, Compression::default());
        self.write_layer(layer, digest, recipe::size(&self.recipe_file(layer))?, &mut out)?;
        let mut out = out.finish()?;
        out.flush()?;
        let (digest, size) = out.finish();
        Ok((work, std::fs::File::open(path)?, digest, size))
    }
}

fn describe(kind: &str, digest: &str, size: u64) -> Value {
    json!({"mediaType": kind, "digest": digest, "size": size})
}
