//! OCI layouts that hold more than one image for this machine. Needs root: layers have owners.

mod common;

use std::path::{Path, PathBuf};

use common::archive::{Content, config, gzip, save, sha, store, tar};
use serde_json::{Value, json};

/// A layout directory that is being filled.
struct Layout(PathBuf);

impl Layout {
    fn new(dir: &Path, name: &str) -> Self {
        let dir = dir.join(name);
        std::fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        Self(dir)
    }

    fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        save(&self.0.join("blobs/sha256"), &sha(bytes), bytes);
        json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": format!("sha256:{}", sha(bytes)), "size": bytes.len()})
    }

    fn document(&self, kind: &str, value: &Value) -> Value {
        self.blob(kind, value.to_string().as_bytes())
    }

    /// An image with one file of that name.
    fn image(&self, file: &str) -> Value {
        let layer = tar(&[(file, Content::File(b"x"))]);
        let (config, layer) = (self.blob("config.v1+json", &config(&[&layer])), self.blob("layer.v1.tar+gzip", &gzip(&layer)));
        self.document("manifest.v1+json", &json!({"schemaVersion": 2, "config": config, "layers": [layer]}))
    }

    fn list(&self, entries: &[Value]) {
        save(&self.0, "index.json", json!({"schemaVersion": 2, "manifests": entries}).to_string().as_bytes());
    }
}

/// The entry with a platform, a name, or both.
fn entry(mut descriptor: Value, platform: Option<&str>, name: Option<&str>) -> Value {
    if let Some((os, architecture)) = platform.and_then(|text| text.split_once('/')) {
        descriptor["platform"] = json!({"os": os, "architecture": architecture});
    }
    if let Some(name) = name {
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    }
    descriptor
}

fn absent(letter: &str) -> Value {
    json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{}", letter.repeat(64)), "size": 1})
}

fn here() -> String {
    format!("linux/{}", match std::env::consts::ARCH { "x86_64" => "amd64", "aarch64" => "arm64", other => other })
}

#[test]
fn other_machines_images_are_nobodys_trouble() {
    let (store, dir) = store();
    let layout = Layout::new(dir.path(), "a");
    let own = layout.image("own");
    let name = Some("example.com/a:v1");
    let list = |foreign: Value| {
        layout.list(&[
            entry(own.clone(), Some(&here()), name),
            entry(foreign, Some("linux/s390x"), name),
            entry(absent("a"), Some("unknown/unknown"), name),
            absent("b"),
        ]);
    };
    for foreign in [absent("c"), layout.image("foreign")] {
        list(foreign);
        let images = store.import(&layout.0).unwrap();
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].digests, [format!("example.com/a@{}", own["digest"].as_str().unwrap())]);
        assert_eq!(store.find("example.com/a:v1").unwrap().unwrap().id, images[0].id);
    }
    layout.list(&[entry(layout.image("foreign"), Some("linux/s390x"), name)]);
    let error = store.import(&layout.0).unwrap_err().to_string();
    assert!(error.contains("it holds no image for this machine"), "{error}");
    layout.list(&[entry(absent("c"), Some(&here()), name)]);
    let error = store.import(&layout.0).unwrap_err().to_string();
    assert!(error.contains("the archive lacks blobs/sha256/cccc"), "{error}");
}

#[test]
fn an_index_in_an_index_leads_to_the_image() {
    let (store, dir) = store();
    let layout = Layout::new(dir.path(), "a");
    let own = layout.image("own");
    let inner = layout.document("index.v1+json", &json!({"manifests": [
        entry(absent("a"), Some("linux/s390x"), None), entry(own, Some(&here()), None), entry(absent("b"), Some("unknown/unknown"), None),
    ]}));
    let outer = layout.document("index.v1+json", &json!({"manifests": [inner]}));
    layout.list(&[entry(outer.clone(), None, Some("example.com/b:v1"))]);
    let image = store.import(&layout.0).unwrap().remove(0);
    assert_eq!(image.digests, [format!("example.com/b@{}", outer["digest"].as_str().unwrap())]);
}
