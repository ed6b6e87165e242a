//! An image: its layers, and what it says about its processes and its machine.

use serde_json::{Map, Value, json};

use super::files::{Files, gzip, sha};
use super::Layer;

/// How layers travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packed {
    Plain,
    #[default]
    Gzip,
    Zstd,
}

/// An image in the making.
#[derive(Clone, Debug)]
pub struct Image {
    /// With a tag.
    pub name: String,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Lowest first, as tar files.
    pub layers: Vec<Vec<u8>>,
    packed: Packed,
    process: Map<String, Value>,
    annotations: Map<String, Value>,
}

impl Image {
    /// For this machine, without layers.
    pub fn new(name: &str) -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let (process, annotations) = (Map::new(), Map::new());
        let platform = format!("linux/{architecture}");
        Self { name: name.into(), platform, layers: vec![], packed: Packed::default(), process, annotations }
    }

    /// With one more layer on top.
    pub fn layer(self, layer: &Layer) -> Self {
        self.bytes(layer.tar())
    }

    /// With any bytes as one more layer on top.
    pub fn bytes(mut self, layer: Vec<u8>) -> Self {
        self.layers.push(layer);
        self
    }

    /// With a field of its process's configuration, by the name that images have for it.
    pub fn set(mut self, field: &str, value: Value) -> Self {
        self.process.insert(field.into(), value);
        self
    }

    pub fn entrypoint(self, words: &[&str]) -> Self {
        self.set("Entrypoint", json!(words))
    }

    pub fn user(self, user: &str) -> Self {
        self.set("User", json!(user))
    }

    /// `VOLUME` of these paths.
    pub fn volumes(self, paths: &[&str]) -> Self {
        self.set("Volumes", paths.iter().map(|path| ((*path).to_owned(), json!({}))).collect::<Map<_, _>>().into())
    }

    /// The same for another machine: `os/architecture[/variant]`.
    pub fn on(&self, platform: &str) -> Self {
        Self { platform: platform.into(), ..self.clone() }
    }

    /// With another name.
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// With its layers packed otherwise.
    pub fn packed(mut self, packed: Packed) -> Self {
        self.packed = packed;
        self
    }

    /// With an annotation on its entry of an index.
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    fn machine(&self) -> Map<String, Value> {
        let mut parts = self.platform.splitn(3, '/');
        let names = ["os", "architecture", "variant"];
        names.iter().filter_map(|name| Some(((*name).to_owned(), parts.next()?.into()))).collect()
    }

    /// Its configuration file; the digest is the image's id.
    pub fn config(&self) -> Vec<u8> {
        let ids: Vec<String> = self.layers.iter().map(|layer| format!("sha256:{}", sha(layer))).collect();
        let mut config = self.machine();
        config.insert("config".into(), self.process.clone().into());
        config.insert("rootfs".into(), json!({"type": "layers", "diff_ids": ids}));
        serde_json::to_vec(&config).expect("a document")
    }

    /// The image's id.
    pub fn id(&self) -> String {
        format!("sha256:{}", sha(&self.config()))
    }

    /// Puts manifest, configuration and layers among the blobs; the descriptor of the manifest.
    pub fn store(&self, files: &mut Files) -> Value {
        let config = files.blob("application/vnd.oci.image.config.v1+json", &self.config());
        let layer = |layer: &Vec<u8>| match self.packed {
            Packed::Plain => files.blob("application/vnd.oci.image.layer.v1.tar", layer),
            Packed::Gzip => files.blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(layer)),
            Packed::Zstd => {
                let packed = zstd::encode_all(&layer[..], 1).expect("in memory");
                files.blob("application/vnd.oci.image.layer.v1.tar+zstd", &packed)
            }
        };
        let layers: Vec<Value> = self.layers.iter().map(layer).collect();
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
        let mut entry = files.blob(kind, &serde_json::to_vec(&manifest).expect("a document"));
        entry["platform"] = self.machine().into();
        if !self.annotations.is_empty() {
            entry["annotations"] = self.annotations.clone().into();
        }
        entry
    }
}
