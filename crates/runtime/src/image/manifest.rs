//! The JSON documents of an image: OCI's and Docker's, as far as they matter here.

use std::collections::BTreeMap;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::platform::Platform;
use super::reference::is_digest;
use super::volumes::Volumes;
use crate::limits;

/// What an image says about its processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ImageConfig {
    /// `user[:group]`.
    #[serde(rename = "User", deserialize_with = "or_default")]
    pub user: String,
    /// `NAME=value`.
    #[serde(rename = "Env", deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// Program.
    #[serde(rename = "Entrypoint", deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    /// Its arguments, or the program.
    #[serde(rename = "Cmd", deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    /// Working directory.
    #[serde(rename = "WorkingDir", deserialize_with = "or_default")]
    pub working_dir: String,
    /// Signal that stops it.
    #[serde(rename = "StopSignal", deserialize_with = "or_default")]
    pub stop_signal: String,
    /// Places of which each container has a copy of its own.
    #[serde(rename = "Volumes", deserialize_with = "or_default")]
    pub volumes: Volumes,
}

/// Docker writes `null` for what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// The configuration file of an image; its digest is the image id.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfigFile {
    /// Processes.
    #[serde(deserialize_with = "or_default")]
    pub config: ImageConfig,
    /// Layers.
    pub rootfs: RootFs,
    /// Go's name of what it runs on.
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    /// The same of the system.
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    /// What of the architecture it needs.
    #[serde(deserialize_with = "or_default")]
    pub variant: String,
}

impl ConfigFile {
    /// What it runs on.
    pub(super) fn platform(&self) -> Platform {
        Platform { architecture: self.architecture.clone(), os: self.os.clone(), variant: self.variant.clone() }
    }
}

/// See [`ConfigFile`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RootFs {
    /// Digests of the uncompressed layers, lowest first.
    #[serde(deserialize_with = "or_default")]
    pub diff_ids: Vec<String>,
}

/// A reference to a blob.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Descriptor {
    /// Kind of content.
    pub media_type: String,
    /// `sha256:…`.
    pub digest: String,
    /// Bytes.
    pub size: i64,
    /// For entries of an index.
    pub platform: Option<Platform>,
    /// Names, among others.
    pub annotations: BTreeMap<String, String>,
}

/// An index of images, or an image: the fields tell.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Manifest {
    /// Of an index.
    #[serde(deserialize_with = "few::<_, { limits::INDEX }>")]
    pub manifests: Vec<Descriptor>,
    /// Of an image.
    pub config: Option<Descriptor>,
    /// Of an image, lowest first.
    #[serde(deserialize_with = "few::<_, { limits::LAYERS }>")]
    pub layers: Vec<Descriptor>,
}

/// At most so many: each takes a hundred times more memory than the two bytes of an empty one.
fn few<'de, D: Deserializer<'de>, const MOST: usize>(input: D) -> Result<Vec<Descriptor>, D::Error> {
    struct Few<const MOST: usize>;
    impl<'de, const MOST: usize> Visitor<'de> for Few<MOST> {
        type Value = Vec<Descriptor>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {MOST} descriptors")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(next) = input.next_element()? {
                if list.len() == MOST {
                    return Err(A::Error::custom(format_args!("more than {MOST} descriptors")));
                }
                list.push(next);
            }
            Ok(list)
        }
    }
    input.deserialize_seq(Few::<MOST>)
}

/// One image of a docker-archive.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DockerImage {
    /// Name of the configuration file.
    #[serde(rename = "Config")]
    pub config: String,
    /// Names with tags.
    #[serde(rename = "RepoTags", default, deserialize_with = "or_default")]
    pub tags: Vec<String>,
    /// Names of the layer files, lowest first.
    #[serde(rename = "Layers", default, deserialize_with = "or_default")]
    pub layers: Vec<String>,
}

impl Manifest {
    /// Reads one. A document that is an index and an image at once would be one to us and the other to somebody who
    /// has checked it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let found: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let (index, image) = (!found.manifests.is_empty(), found.config.is_some() || !found.layers.is_empty());
        if index && image { Err("it is an index and an image at once".to_owned()) } else { Ok(found) }
    }

    /// The configuration, where all that the manifest names can be.
    pub(super) fn checked(&self) -> Result<&Descriptor, String> {
        let config = self.config.as_ref().ok_or("its manifest has no configuration")?;
        for blob in self.layers.iter().chain([config]) {
            if !is_digest(&blob.digest) {
                return Err(format!("{:?} is no digest", blob.digest));
            }
            if blob.size < 0 {
                return Err(format!("{} has a size of {}", blob.digest, blob.size));
            }
        }
        Ok(config)
    }

    /// Whether its layers are files of an image: signatures, attestations and charts have manifests too.
    pub(super) fn is_image(&self) -> bool {
        self.layers.iter().all(|layer| layer.media_type.is_empty() || layer.media_type.contains(".tar"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_one_thing() {
        let of = |text: &str| Manifest::parse(text.as_bytes()).map(drop);
        assert_eq!(of(r#"{"manifests": [{}]}"#), Ok(()));
        assert_eq!(of(r#"{"config": {}, "layers": [{}]}"#), Ok(()));
        for text in [r#"{"manifests": [{}], "config": {}}"#, r#"{"manifests": [{}], "layers": [{}]}"#] {
            assert_eq!(of(text), Err("it is an index and an image at once".to_owned()));
        }
        assert!(of("1").is_err());
    }

    #[test]
    fn lists_have_an_end() {
        let of = |list: &str, count: usize| format!(r#"{{"{list}": [{}]}}"#, vec!["{}"; count].join(","));
        let parse = |text: String| Manifest::parse(text.as_bytes()).map(drop);
        for (list, most) in [("layers", limits::LAYERS), ("manifests", limits::INDEX)] {
            assert_eq!(parse(of(list, most)), Ok(()));
            let error = parse(of(list, most + 1)).unwrap_err();
            assert!(error.starts_with(&format!("more than {most} descriptors")), "{error}");
        }
    }

    #[test]
    fn what_a_manifest_names_can_be() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let blob = |digest: &str, size: i64| Descriptor { digest: digest.to_owned(), size, ..Descriptor::default() };
        let of = |config, layer| Manifest { config, layers: vec![layer], ..Manifest::default() };
        assert!(of(Some(blob(&digest, 1)), blob(&digest, 0)).checked().is_ok());
        for wrong in [
            of(None, blob(&digest, 1)),
            of(Some(blob("../../x", 1)), blob(&digest, 1)),
            of(Some(blob(&digest, 1)), blob("sha256:../x", 1)),
            of(Some(blob(&digest, 1)), blob(&digest, -1)),
        ] {
            assert!(wrong.checked().is_err(), "{wrong:?}");
        }
    }
}
