//! What is remembered of pods and containers: in memory, and in one small file each.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::show;
use crate::config::is_file_name;
use crate::shim::{self, SANDBOX, USER};
use crate::users::IdRange;
use crate::{Config, ContainerConfig, ContainerState, Pod, PodConfig, User, disk};

/// Version of the records that are written here. 0: what said no number. A record of a later one is refused.
pub(super) const VERSION: u32 = 1;

/// A pod: `pods/<uid>/pod.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PodRecord {
    /// See [`VERSION`].
    #[serde(default)]
    pub version: u32,
    /// As configured.
    pub config: PodConfig,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// Ids of its user namespace, if it has one; written before they are used.
    #[serde(default)]
    pub users: Option<IdRange>,
    /// Whether its shim lives.
    #[serde(skip)]
    pub ready: bool,
    /// An earlier process left it, and nobody has compared it with its shim yet: what the records say is not believed.
    #[serde(skip)]
    pub unseen: bool,
    /// Oldest first.
    #[serde(skip)]
    pub containers: Vec<ContainerRecord>,
}

/// A container: `containers/<id>/container.json`; its state is in `state.json` beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ContainerRecord {
    /// See [`VERSION`].
    #[serde(default)]
    pub version: u32,
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its pod.
    pub pod_uid: String,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// As configured.
    pub config: ContainerConfig,
    /// Log file.
    pub log: PathBuf,
    /// Cgroup, relative to a hierarchy.
    pub group: PathBuf,
    /// Number of the signal that stops it.
    pub stop_signal: i32,
    /// Layers that its file system stands on.
    pub layers: Vec<String>,
    /// Its shim is being asked to start it: nobody else decides what it is.
    #[serde(skip)]
    pub starting: bool,
    /// State.
    #[serde(skip, default = "created")]
    pub state: ContainerState,
    /// Who it was started as; the shim writes it down.
    #[serde(skip)]
    pub user: Option<User>,
}

fn created() -> ContainerState {
    ContainerState::Created
}

impl PodRecord {
    /// In the trait's words.
    pub(super) fn show(&self, config: &Config) -> Pod {
        Pod {
            config: self.config.clone(),
            ready: self.ready,
            created_at: self.created_at,
            netns: (!self.config.host_network).then(|| config.netns(&self.config.uid)),
            containers: self.containers.iter().map(show).collect(),
        }
    }

    /// A container by id.
    pub(super) fn container(&mut self, id: &str) -> Option<&mut ContainerRecord> {
        self.containers.iter_mut().find(|container| container.id == id)
    }
}

impl ContainerRecord {
    /// Whether it has ended.
    pub(super) fn ended(&self) -> bool {
        matches!(self.state, ContainerState::Exited { .. })
    }

    /// The state on the disk.
    pub(super) fn read_state(config: &Config, id: &str) -> ContainerState {
        disk::read_json(&config.container(id).join("state.json")).ok().flatten().unwrap_or(ContainerState::Created)
    }

    /// Who it was started as, by the disk.
    pub(super) fn read_user(config: &Config, id: &str) -> Option<User> {
        disk::read_json(&config.container(id).join(USER)).ok().flatten()
    }

    /// Puts a state on the disk.
    pub(super) fn write_state(config: &Config, id: &str, state: &ContainerState) -> io::Result<()> {
        disk::write_json(&config.container(id).join("state.json"), state, true)
    }
}

/// Reads all records. One of a later version, or a shim of a later program, is an error, and then nothing is changed.
pub(super) fn load(config: &Config) -> io::Result<BTreeMap<String, PodRecord>> {
    let (mut pods, mut strays) = (BTreeMap::new(), Vec::new());
    for name in names(config.pods())? {
        match disk::read_record::<PodRecord>(&config.pod(&name).join("pod.json"), VERSION)? {
            Some(pod) => {
                // What a later shim says would not be understood.
                disk::refuse_later(&config.shim(&name).join(SANDBOX), shim::VERSION)?;
                pods.insert(name, pod);
            }
            None => strays.push(name),
        }
    }
    let mut containers = Vec::new();
    for id in names(config.containers())? {
        let record = read_container(config, &id)?;
        containers.push((id, record));
    }
    // What a crash left of a pod before its record, or after it.
    strays.iter().try_for_each(|name| crate::remove_tree(&config.pod(name)))?;
    for (id, record) in containers {
        let pod = record.as_ref().and_then(|record| pods.get_mut(&record.pod_uid));
        match (record, pod) {
            (Some(mut record), Some(pod)) => {
                record.state = ContainerRecord::read_state(config, &id);
                record.user = ContainerRecord::read_user(config, &id);
                pod.containers.push(record);
            }
            _ => crate::remove_tree(&config.container(&id))?,
        }
    }
    for pod in pods.values_mut() {
        pod.containers.sort_by_key(|container| container.created_at);
    }
    Ok(pods)
}

/// Layers that containers stand on, by the files: for programs beside the node agent that remove images.
pub fn layers_in_use(config: &Config) -> crate::Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let mut found = super::image_mount::layers_of_pods(config)?;
        if !config.containers().exists() {
            return Ok(found);
        }
        for id in names(config.containers())? {
            found.extend(read_container(config, &id)?.into_iter().flat_map(|record| record.layers));
        }
        Ok(found)
    };
    read().map_err(super::system("read the containers"))
}

fn read_container(config: &Config, id: &str) -> io::Result<Option<ContainerRecord>> {
    disk::read_record(&config.container(id).join("container.json"), VERSION)
}

fn names(dir: PathBuf) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        found.extend(entry?.file_name().into_string().ok().filter(|name| is_file_name(name)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::shim::wire::{Sandbox, Spec};

    const UID: &str = "fb8861c1-41e4-438f-a833-7478c033b1e5";
    const ID: &str = "8252a6bced564b228bd647bcd693fa4d2b905a5619ee45878c9aa457b986f565";

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).expect("is made");
        for entry in std::fs::read_dir(from).expect("is read") {
            let entry = entry.expect("is read");
            let target = to.join(entry.file_name());
            match entry.path().is_dir() {
                true => copy(&entry.path(), &target),
                false => std::fs::copy(entry.path(), target).map(drop).expect("is copied"),
            }
        }
    }

    /// Whether all that was said then is said now.
    fn keeps(now: &Value, then: &Value) -> bool {
        match (now, then) {
            (Value::Object(now), Value::Object(then)) => {
                then.iter().all(|(name, then)| now.get(name).is_some_and(|now| keeps(now, then)))
            }
            (Value::Array(now), Value::Array(then)) => {
                now.len() == then.len() && now.iter().zip(then).all(|(now, then)| keeps(now, then))
            }
            _ => now == then,
        }
    }

    fn is_kept<T: Serialize + serde::de::DeserializeOwned>(path: &Path, known: u32) -> T {
        let record: T = disk::read_record(path, known).expect("is read").expect("is there");
        let then = disk::read_json(path).expect("is read").expect("is there");
        let now = serde_json::to_value(&record).expect("is written");
        assert!(keeps(&now, &then), "{}: {now:#}", path.display());
        record
    }

    fn recorded() -> (tempfile::TempDir, Config) {
        let dir = tempfile::tempdir().expect("directory");
        copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/version0")), dir.path());
        let config = Config { root: dir.path().join("root"), run: dir.path().join("run"), ..Config::default() };
        (dir, config)
    }

    #[test]
    fn records_of_a_later_version_are_refused_in_words_and_left_alone() {
        let (_dir, config) = recorded();
        let stray = config.container("stray");
        std::fs::create_dir(&stray).expect("is made");
        let records = [
            config.pod(UID).join("pod.json"),
            config.container(ID).join("container.json"),
            config.shim(UID).join(SANDBOX),
        ];
        for path in records {
            let mut record: Value = disk::read_json(&path).expect("is read").expect("is there");
            record["version"] = 1000.into();
            disk::write_json(&path, &record, false).expect("is written");
            let words = load(&config).expect_err("is later").to_string();
            assert!(words.starts_with(&format!("{} has version 1000, and this program knows", path.display())), "{words}");
            assert!(stray.exists(), "something was cleaned up");
            record["version"] = 0.into();
            disk::write_json(&path, &record, false).expect("is written");
        }
        assert_eq!(load(&config).expect("are read").len(), 1);
        assert!(!stray.exists());
    }

    #[test]
    fn recorded_records_from_before_there_were_versions_mean_what_they_meant() {
        let (_dir, config) = recorded();
        let pods = load(&config).expect("are read");
        let pod = &pods[UID];
        assert_eq!((pods.len(), pod.version, pod.created_at), (1, 0, 1_796_065_899_341_144_224));
        assert!(pod.config.share_pid && !pod.config.user_namespace && pod.users.is_none());
        let [container] = pod.containers.as_slice() else { panic!("{:#?}", pod.containers) };
        assert_eq!((&*container.id, container.version, container.stop_signal), (ID, 0, 15));
        assert_eq!(container.state, ContainerState::Running { started_at: 1_796_065_899_427_646_009 });
        assert!(container.user.is_none() && container.config.pid_of.is_none());

        is_kept::<PodRecord>(&config.pod(UID).join("pod.json"), VERSION);
        is_kept::<ContainerRecord>(&config.container(ID).join("container.json"), VERSION);
        let sandbox: Sandbox = is_kept(&config.shim(UID).join(SANDBOX), shim::VERSION);
        let spec: Spec = is_kept(&config.container(ID).join("spec.json"), shim::VERSION);
        assert_eq!((sandbox.version, spec.version), (0, 0));
        assert!(!spec.strict_groups && spec.app_armor.is_none() && spec.users.is_none());
        assert!(spec.mounts.iter().all(|mount| !mount.recursive_read_only));
    }
}
