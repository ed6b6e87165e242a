//! Images in the files that people carry them in: `docker save` archives and OCI layouts.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Image, Layer};

/// Files by name, to be written into a directory or a tar file.
#[derive(Clone, Debug, Default)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Files {
    /// Adds a blob; its descriptor.
    pub fn blob(&mut self, kind: &str, bytes: &[u8]) -> Value {
        let digest = sha(bytes);
        let descriptor = json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()});
        self.0.insert(format!("blobs/sha256/{digest}"), bytes.to_vec());
        descriptor
    }

    fn document(&mut self, name: &str, value: &Value) {
        self.0.insert(name.into(), serde_json::to_vec(value).expect("a document"));
    }

    /// Into a directory, made when missing.
    pub fn write(&self, dir: &Path) {
        for (name, bytes) in &self.0 {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            std::fs::write(path, bytes).expect("written");
        }
    }

    /// As a tar file.
    pub fn tar(&self) -> Vec<u8> {
        self.0.iter().fold(Layer::new(), |tar, (name, bytes)| tar.file(name, 0o644, bytes)).tar()
    }
}

/// What `docker save` writes of these images.
pub fn docker_archive(images: &[&Image]) -> Vec<u8> {
    let mut files = Files::default();
    let mut manifest = Vec::new();
    for image in images {
        let config = format!("{}.json", sha(&image.config()));
        files.0.insert(config.clone(), image.config());
        let mut layers = Vec::new();
        for layer in &image.layers {
            let name = format!("{}/layer.tar", sha(layer));
            files.0.insert(name.clone(), layer.clone());
            layers.push(name);
        }
        manifest.push(json!({"Config": config, "RepoTags": [image.name], "Layers": layers}));
    }
    files.document("manifest.json", &manifest.into());
    files.tar()
}

/// An OCI layout of these images. Those with the same name are behind one index of that name; others stand in
/// `index.json` themselves.
pub fn layout(images: &[&Image]) -> Files {
    let mut files = Files::default();
    let mut names: Vec<&str> = Vec::new();
    images.iter().filter(|image| !image.name.is_empty()).for_each(|image| {
        if !names.contains(&&image.name[..]) {
            names.push(&image.name);
        }
    });
    let mut top: Vec<Value> = images.iter().filter(|i| i.name.is_empty()).map(|image| image.store(&mut files)).collect();
    for name in names {
        let mut entries: Vec<Value> = images.iter().filter(|i| i.name == name).map(|i| i.store(&mut files)).collect();
        let mut entry = match entries.len() {
            1 => entries.remove(0),
            _ => {
                let kind = "application/vnd.oci.image.index.v1+json";
                let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries});
                files.blob(kind, &serde_json::to_vec(&index).expect("a document"))
            }
        };
        entry["annotations"]["org.opencontainers.image.ref.name"] = name.into();
        top.push(entry);
    }
    files.document("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}));
    files.document("index.json", &json!({"schemaVersion": 2, "manifests": top}));
    files
}

/// Hexadecimal SHA-256.
pub fn sha(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// Writes a file into a directory; its path.
pub fn save(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).expect("written");
    path
}
