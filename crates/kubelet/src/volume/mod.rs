//! Volumes of pods: one file per sort, one list.
//!
//! Making a volume is idempotent; doing it again brings its content up to date. Taking volumes
//! away is common to all sorts: unmount what is mounted below the pod's directory, remove it.

pub mod atomic;
pub mod config_map;
pub mod downward_api;
pub mod empty_dir;
pub mod host_path;
pub mod image;
pub mod mounts;
pub mod ownership;
pub mod projected;
pub mod secret;
pub mod subpath;
pub mod take_down;
pub mod tmpfs;
pub mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{KeyToPath, Pod, Volume};

use crate::container::env::Sources;
use crate::container::fields::Facts;
use crate::spec;

/// One sort of volume.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// Name below `volumes/`, as upstream's: `kubernetes.io~empty-dir`.
    fn name(&self) -> &'static str;
    /// Whether the volume is of this sort.
    fn claims(&self, volume: &Volume) -> bool;
    /// The objects that its content comes from.
    fn references(&self, _volume: &Volume) -> References {
        References::default()
    }
    /// Makes it, or brings it up to date.
    async fn set_up(&self, volume: &Volume, context: &Context<'_>) -> Result<Mounted, String>;
}

/// Every sort.
pub static ALL: &[&dyn Plugin] = &[
    &empty_dir::EmptyDir,
    &host_path::HostPath,
    &config_map::ConfigMaps,
    &secret::Secrets,
    &downward_api::DownwardApi,
    &projected::Projected,
    &image::ImageVolume,
];

/// What a volume is made from.
pub struct Context<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Where the volume's own files go.
    pub dir: PathBuf,
    /// Objects that the pod names.
    pub sources: &'a Sources,
    /// Addresses and resources.
    pub facts: &'a Facts,
    /// ServiceAccount tokens.
    pub tokens: &'a token::Tokens,
}

/// A volume that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounted {
    /// Its directory or file on the node.
    pub path: PathBuf,
    /// When its content must be renewed.
    pub refresh_at: Option<Timestamp>,
}

/// Names of objects in the pod's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// ConfigMaps.
    pub config_maps: BTreeSet<String>,
    /// Secrets.
    pub secrets: BTreeSet<String>,
}

/// Why a volume is not there; both texts are upstream's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume {volume:?} : {message}")]
pub struct Failure {
    /// Name of the volume.
    pub volume: String,
    /// What went wrong.
    pub message: String,
}

/// All volumes by name, and when the first of them must be renewed.
pub type Volumes = BTreeMap<String, Mounted>;

/// The plug-in of a volume.
pub fn plugin(volume: &Volume) -> Option<&'static dyn Plugin> {
    ALL.iter().copied().find(|p| p.claims(volume))
}

/// The directory of a volume's files.
pub fn dir(pod_dir: &Path, plugin: &dyn Plugin, volume: &str) -> PathBuf {
    pod_dir.join("volumes").join(plugin.name()).join(volume)
}

/// Makes all volumes of a pod.
pub async fn set_up_all(
    pod: &Pod, pod_dir: &Path, sources: &Sources, facts: &Facts, tokens: &token::Tokens,
) -> Result<Volumes, Failure> {
    let mut volumes = Volumes::new();
    for volume in spec::of(pod).volumes.as_deref().unwrap_or_default() {
        let fail = |message: String| Failure { volume: volume.name.clone(), message };
        let plugin = plugin(volume).ok_or_else(|| fail("no volume plugin matched".to_owned()))?;
        let context = Context { pod, dir: dir(pod_dir, plugin, &volume.name), sources, facts, tokens };
        volumes.insert(volume.name.clone(), plugin.set_up(volume, &context).await.map_err(fail)?);
    }
    Ok(volumes)
}

/// Content of a volume: bytes and mode by relative path.
pub type Payload = BTreeMap<String, (Vec<u8>, u32)>;

/// Picks and names entries; without items all of them.
pub fn select(
    data: &BTreeMap<String, Vec<u8>>, items: Option<&[KeyToPath]>, default_mode: u32, optional: bool, kind: &str,
) -> Result<Payload, String> {
    let Some(items) = items.filter(|i| !i.is_empty()) else {
        return Ok(data.iter().map(|(k, v)| (k.clone(), (v.clone(), default_mode))).collect());
    };
    let mut payload = Payload::new();
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => {
                let mode = item.mode.map_or(default_mode, mode_bits);
                payload.insert(item.path.clone(), (bytes.clone(), mode));
            }
            None if optional => {}
            None => return Err(format!("{kind} references non-existent {kind} key: {}", item.key)),
        }
    }
    Ok(payload)
}

/// A mode as the API gives it.
pub fn mode_bits(mode: i32) -> u32 {
    u32::try_from(mode).unwrap_or(0o644) & 0o777
}

/// Text of a system error on a path.
pub fn at(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
