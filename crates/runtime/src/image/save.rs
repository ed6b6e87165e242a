//! Images as a file for others: an OCI layout that is a `docker save` archive as well, as Docker writes it since 25.
//! Images have the ids that they have here; layers are not compressed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::counting::Counting;
use super::store::Store;
use super::{Reference, recipe, stage};
use crate::{Error, Image, Result};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A tar file in the making.
struct Archive<W: Write> {
    tar: tar::Builder<W>,
    have: BTreeSet<String>,
}

impl Store {
    /// Writes images to a tar file, which is there only when all of it is.
    pub fn save(&self, names: &[String], path: &Path) -> Result<Vec<Image>> {
        let part = path.with_extension(format!("{}.part", uuid::Uuid::new_v4().simple()));
        let saved = self.save_to(names, &part);
        let done = saved.and_then(|images| {
            std::fs::rename(&part, path).map_err(|e| Error::System(format!("write {}: {e}", path.display())))?;
            Ok(images)
        });
        if done.is_err() {
            // What is half done is nothing.
            let _ = std::fs::remove_file(&part);
        }
        done
    }

    fn save_to(&self, names: &[String], path: &Path) -> Result<Vec<Image>> {
        let fail = |e: io::Error| Error::System(format!("write {}: {e}", path.display()));
        let file = File::create_new(path).map_err(fail)?;
        let mut archive = Archive { tar: tar::Builder::new(BufWriter::new(file)), have: BTreeSet::new() };
        let (mut entries, mut docker, mut images) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let (image, config, layers, _stay) = self.parts(name)?;
            let mut described = Vec::new();
            for (layer, digest) in &layers {
                described.push(self.add_layer(&mut archive, layer, digest).map_err(fail)?);
            }
            let config = archive.blob(CONFIG, &config).map_err(fail)?;
            let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described});
            let manifest = archive.blob(MANIFEST, manifest.to_string().as_bytes()).map_err(fail)?;
            // By an id, all names; by a name, that one.
            let tags: Vec<String> = match Reference::parse(name).ok().and_then(|reference| reference.tagged()) {
                Some(tag) if image.tags.contains(&tag) => vec![tag],
                _ => image.tags.clone(),
            };
            entries.extend(named(&manifest, &tags));
            let path = |descriptor: &Value| blob_path(descriptor["digest"].as_str().unwrap_or_default());
            let paths: Vec<String> = described.iter().map(path).collect();
            docker.push(json!({"Config": path(&config), "RepoTags": tags, "Layers": paths}));
            images.push(image);
        }
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries});
        let files = [("index.json", index), ("manifest.json", docker.into()), ("oci-layout", json!({"imageLayoutVersion": "1.0.0"}))];
        for (name, value) in files {
            archive.file(name, value.to_string().as_bytes()).map_err(fail)?;
        }
        let file = archive.tar.into_inner().and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error));
        file.and_then(|file| file.sync_all()).map_err(fail)?;
        Ok(images)
    }

    fn add_layer(&self, archive: &mut Archive<impl Write>, layer: &str, digest: &str) -> io::Result<Value> {
        let recipe = self.recipe_file(layer);
        let size = recipe::size(&recipe)?;
        if archive.have.insert(digest.to_owned()) {
            let mut header = header(size);
            header.set_path(blob_path(digest))?;
            header.set_cksum();
            let out = archive.tar.get_mut();
            out.write_all(header.as_bytes())?;
            self.write_layer(layer, digest, size, out)?;
            let pad = size.next_multiple_of(512) - size;
            out.write_all(&[0; 512][..usize::try_from(pad).unwrap_or(0)])?;
        }
        Ok(json!({"mediaType": LAYER, "digest": digest, "size": size}))
    }

    /// Writes a layer's tar file, and verifies that it is what it was.
    pub(super) fn write_layer(&self, layer: &str, digest: &str, size: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut out = Counting::new(out);
        recipe::make(&self.recipe_file(layer), &self.layers_dir().join(layer), &mut out)?;
        let (found, bytes) = out.finish();
        if found != digest || bytes != size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("layer digest is {found} instead of {digest}")));
        }
        Ok(())
    }
}

/// One entry of an index for each name, or one without.
fn named(manifest: &Value, tags: &[String]) -> Vec<Value> {
    if tags.is_empty() {
        return vec![manifest.clone()];
    }
    let with = |tag: &String| {
        let short = tag.rsplit(':').next().unwrap_or_default();
        let mut entry = manifest.clone();
        entry["annotations"] = json!({"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": short});
        entry
    };
    tags.iter().map(with).collect()
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header
}

impl<W: Write> Archive<W> {
    fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.tar.append_data(&mut header(bytes.len() as u64), path, bytes)
    }

    /// Adds a blob once; its descriptor.
    fn blob(&mut self, kind: &str, bytes: &[u8]) -> io::Result<Value> {
        let digest = stage::digest(bytes);
        if self.have.insert(digest.clone()) {
            self.file(&blob_path(&digest), bytes)?;
        }
        Ok(json!({"mediaType": kind, "digest": digest, "size": bytes.len()}))
    }
}
