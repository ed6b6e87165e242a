//! Where a cluster keeps what.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// The data directory when none is given.
pub const DEFAULT_DATA: &str = "/var/lib/ironclad";

/// The places of one cluster on this machine.
#[derive(Clone, Debug)]
pub struct Dirs {
    /// What survives a reboot.
    pub data: PathBuf,
    /// What does not.
    pub run: PathBuf,
    /// The one cgroup below which everything runs.
    pub cgroup: String,
}

/// What `down` must know of an `up` that may be gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The process that runs the cluster.
    pub pid: u32,
    /// The process that starts it again, if there is one.
    #[serde(default)]
    pub supervisor: Option<u32>,
    /// Whether it has come up.
    #[serde(default)]
    pub ready: bool,
    /// `--pod-network-cidr`.
    pub pod_network: Ipv4Net,
    /// `--service-cidr`.
    pub service_network: Ipv4Net,
}

impl Dirs {
    /// The places that belong to a data directory. Each data directory has its own of everything.
    pub fn of(data: &Path) -> Self {
        let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        if data == Path::new(DEFAULT_DATA) {
            return Dirs { data, run: "/run/ironclad".into(), cgroup: "ironclad".into() };
        }
        let text = data.to_string_lossy();
        let hash = text.bytes().fold(0x811c_9dc5, |h: u32, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        Dirs { run: format!("/run/ironclad-{hash:08x}").into(), cgroup: format!("ironclad-{hash:08x}"), data }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data.join("admin.conf")
    }

    /// The log of a cluster in the background.
    pub fn log(&self) -> PathBuf {
        self.data.join("ironclad.log")
    }

    /// Settings of the running (or killed) cluster, if there is one.
    pub fn settings(&self) -> Option<Settings> {
        serde_json::from_slice(&fs::read(self.run.join("settings.json")).ok()?).ok()
    }

    /// Writes them.
    pub fn save(&self, settings: &Settings) -> Result<()> {
        let path = self.run.join("settings.json");
        fs::write(&path, serde_json::to_vec(settings)?).with_context(|| format!("write {}", path.display()))
    }

    /// The runtime's part.
    pub fn runtime(&self) -> runtime::Config {
        runtime::Config {
            root: self.data.join("runtime"),
            run: self.run.clone(),
            cgroup_root: self.cgroup.clone(),
            ..runtime::Config::default()
        }
    }

    /// The pod network's part.
    pub fn network(&self) -> PathBuf {
        self.run.join("network")
    }
}
