//! What is remembered of pods and containers: in memory, and in one small file each.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::show;
use crate::config::is_file_name;
use crate::users::IdRange;
use crate::{Config, ContainerConfig, ContainerState, Pod, PodConfig, disk};

/// A pod: `pods/<uid>/pod.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PodRecord {
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
    /// Oldest first.
    #[serde(skip)]
    pub containers: Vec<ContainerRecord>,
}

/// A container: `containers/<id>/container.json`; its state is in `state.json` beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ContainerRecord {
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
    /// State.
    #[serde(skip, default = "created")]
    pub state: ContainerState,
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

    /// Puts a state on the disk.
    pub(super) fn write_state(&mut self, config: &Config, state: ContainerState) -> io::Result<()> {
        disk::write_json(&config.container(&self.id).join("state.json"), &state, true)?;
        self.state = state;
        Ok(())
    }
}

/// Reads all records.
pub(super) fn load(config: &Config) -> io::Result<BTreeMap<String, PodRecord>> {
    let mut pods = BTreeMap::new();
    for name in names(config.pods())? {
        // A directory without a record is what a crash left of a pod that was never announced.
        if let Some(pod) = disk::read_json::<PodRecord>(&config.pod(&name).join("pod.json"))? {
            pods.insert(name, pod);
        }
    }
    for id in names(config.containers())? {
        let record = disk::read_json::<ContainerRecord>(&config.container(&id).join("container.json"))?;
        let pod = record.as_ref().and_then(|record| pods.get_mut(&record.pod_uid));
        match (record, pod) {
            (Some(mut record), Some(pod)) => {
                record.state = ContainerRecord::read_state(config, &id);
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
        let mut found = Vec::new();
        if !config.containers().exists() {
            return Ok(found);
        }
        for id in names(config.containers())? {
            let record: Option<ContainerRecord> = disk::read_json(&config.container(&id).join("container.json"))?;
            found.extend(record.into_iter().flat_map(|record| record.layers));
        }
        Ok(found)
    };
    read().map_err(super::system("read the containers"))
}

fn names(dir: PathBuf) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        found.extend(entry?.file_name().into_string().ok().filter(|name| is_file_name(name)));
    }
    Ok(found)
}
