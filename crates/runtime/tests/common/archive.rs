//! Short ways to write the images of the [kit](crate::common::kit), and a store for them.

use std::path::{Path, PathBuf};

use runtime::Store;

use super::kit::{self, Image, Layer};
#[allow(unused_imports, reason = "each test program uses a part")]
pub use super::kit::{gzip, save, sha};

/// A tar file of these entries.
pub fn tar(entries: &[(&str, Content<'_>)]) -> Vec<u8> {
    let add = |layer: Layer, (path, content): &(&str, Content<'_>)| match content {
        Content::File(bytes) => layer.file(path, 0o755, bytes),
        Content::Directory => layer.dir(path, 0o755),
        Content::Link(to) => layer.link(path, to),
        Content::Hard(to) => layer.hard(path, to),
    };
    entries.iter().fold(Layer::new(), add).tar()
}

pub enum Content<'a> {
    File(&'a [u8]),
    Directory,
    Link(&'a str),
    Hard(&'a str),
}

/// An image of these tar files whose program is the probe.
pub fn probe_image(layers: &[&[u8]], name: &str) -> Image {
    let image = Image::new(name).entrypoint(&["/bin/probe"]).user("web");
    let image = image.set("Cmd", serde_json::Value::Null).set("WorkingDir", "/srv".into());
    layers.iter().fold(image, |image, layer| image.bytes(layer.to_vec()))
}

pub fn config(layers: &[&[u8]]) -> Vec<u8> {
    probe_image(layers, "").config()
}

pub fn docker_archive(layers: &[&[u8]], tag: &str) -> Vec<u8> {
    kit::docker_archive(&[&probe_image(layers, tag)])
}

/// A store, and where it is.
pub fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("works");
    (Store::open(dir.path().join("images")).expect("works"), dir)
}

pub fn layers(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir.join("images/layers")).expect("works").map(|entry| entry.expect("works").path()).collect()
}
