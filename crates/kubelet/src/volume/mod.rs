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
pub mod nested;
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

/// Writes the files of a volume, and gives all of it, its own directory included, to the pod's group (upstream: `SetUpAt` of
/// these volumes). `own` is called on what is new before readers can see it.
fn write(dir: &Path, pod: &Pod, payload: &Payload, own: impl Fn(&Path) -> Result<(), String>) -> Result<(), String> {
    atomic::write(dir, payload, |fresh| {
        own(fresh)?;
        ownership::give(fresh, pod, true)
    })?;
    ownership::give(dir, pod, true)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    /// Owner, group and rights of everything in a volume, its own directory first.
    fn owners(dir: &Path) -> Vec<(String, u32, u32)> {
        let mut found: Vec<_> = ["", "..data", "..data/", "..data/key", "..data/sub/", "..data/sub/key", "key", "sub"]
            .iter()
            .map(|name| (*name, fs::symlink_metadata(dir.join(name)).expect(name)))
            .map(|(name, meta)| (name.to_owned(), meta.gid(), if meta.is_symlink() { 0 } else { meta.mode() & 0o7777 }))
            .collect();
        found.sort();
        found
    }

    #[test]
    fn all_of_a_written_volume_is_the_groups() {
        let dir = tempfile::tempdir().expect("directory");
        let volume = dir.path().join("volume");
        fs::create_dir(&volume).expect("made");
        fs::set_permissions(&volume, fs::Permissions::from_mode(0o777)).expect("allowed");
        let pod = spec::tests::pod(json!({"securityContext": {"fsGroup": 2000}}));
        for text in ["one", "two"] {
            let file = |mode: u32| (text.as_bytes().to_vec(), mode);
            let payload = [("key".to_owned(), file(0o400)), ("sub/key".to_owned(), file(0o644))].into();
            write(&volume, &pod, &payload, |_| Ok(())).expect("written");
            let all = owners(&volume);
            assert!(all.iter().all(|(_, group, _)| *group == 2000), "{all:?}");
            let modes: Vec<_> = all.iter().map(|(name, _, mode)| (name.as_str(), *mode)).filter(|(_, mode)| *mode != 0).collect();
            let expected = [("", 0o2777), ("..data/", 0o2755), ("..data/key", 0o440), ("..data/sub/", 0o2755), ("..data/sub/key", 0o644)];
            assert_eq!(modes, expected);
            // Who watches the files is told of a change, and of none that is none.
            let changed = || fs::metadata(&volume).map(|meta| (meta.ctime(), meta.ctime_nsec())).expect("there");
            let before = changed();
            write(&volume, &pod, &payload, |_| Ok(())).expect("as it is");
            assert_eq!(changed(), before);
        }
        let plain = dir.path().join("plain");
        write(&plain, &spec::tests::pod(json!({})), &[("key".to_owned(), (Vec::new(), 0o400))].into(), |_| Ok(())).expect("written");
        assert_eq!(fs::metadata(&plain).expect("there").gid(), 0);
    }
}
