//! Where a cluster keeps what, and what its things are called on the machine.
//!
//! All of it is derived from the path of the data directory, and recorded in the directory itself when it is first
//! used: pods that run have those names, whatever later programs would choose, and a directory is the same by whatever
//! path it is reached.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use network::Names;
use serde::{Deserialize, Serialize};

use crate::durable;

/// The data directory when none is given.
pub const DEFAULT_DATA: &str = "/var/lib/ironclad";
/// The record in the data directory.
const RECORD: &str = "cluster.json";

/// The places of one cluster on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Dirs {
    /// What survives a reboot.
    pub data: PathBuf,
    /// What tells this cluster from others on the machine: eight hexadecimal digits.
    pub id: String,
    /// What does not survive a reboot.
    pub run: PathBuf,
    /// The one cgroup below which everything runs.
    pub cgroup: String,
    /// What its network is called.
    pub names: Names,
}

/// The record. What later programs say beside it is left out when it is written again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: String,
    /// Where the directory was, without links: one that was moved or copied is another cluster's.
    data: PathBuf,
    run: PathBuf,
    cgroup: String,
    network: Names,
}

/// What others, and `down`, must know of an `up` that may be gone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    /// The data directory; earlier versions did not say.
    #[serde(default)]
    pub data: Option<PathBuf>,
    /// What its network is called; those of earlier versions had no choice.
    #[serde(default)]
    pub names: Names,
    /// Name of the node.
    #[serde(default)]
    pub node: String,
    /// The API server's URL.
    #[serde(default)]
    pub server: String,
    /// Port of the node agent.
    #[serde(default)]
    pub kubelet_port: u16,
    /// First and last port of the node that Services may get; those of earlier versions had no choice.
    #[serde(default)]
    pub node_ports: Option<(u16, u16)>,
}

impl Dirs {
    /// The places that belong to the path of a data directory that nothing is known of.
    pub fn of(data: &Path) -> Self {
        let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        let id = id(&data);
        let name = if data == Path::new(DEFAULT_DATA) { "ironclad".to_owned() } else { format!("ironclad-{id}") };
        let run = Path::new("/run").join(&name);
        // An earlier version's pods, which may run yet, are at links with the names of that time.
        let names = if run.join("network").exists() { Names::first() } else { Names::of(&id) };
        Dirs { data, id, run, cgroup: name, names }
    }

    /// Those that the directory says itself, if it does.
    pub fn open(data: &Path) -> Result<Self> {
        let derived = Self::of(data);
        let path = derived.data.join(RECORD);
        let text = match fs::read(&path) {
            Ok(text) => text,
            // Who may not read it may not do anything that hangs on it either.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied) => {
                return Ok(derived);
            }
            Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
        };
        let record: Record = serde_json::from_slice(&text).with_context(|| {
            let path = path.display();
            format!("{path} does not say what the cluster is called on this machine; restore it, or remove it after a reboot")
        })?;
        match fs::canonicalize(&derived.data).is_ok_and(|place| place == record.data) {
            true => Ok(Dirs {
                data: derived.data,
                id: record.id,
                run: record.run,
                cgroup: record.cgroup,
                names: record.network,
            }),
            false => Ok(derived),
        }
    }

    /// Records the names, durably. To be called by whoever has the lock, before anything gets one of them.
    pub fn claim(&self) -> Result<()> {
        let data = fs::canonicalize(&self.data).with_context(|| format!("look at {}", self.data.display()))?;
        let Dirs { id, run, cgroup, names, .. } = self.clone();
        let record = Record { id, data, run, cgroup, network: names };
        let path = self.data.join(RECORD);
        let found = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        if found.as_ref() == Some(&record) { Ok(()) } else { durable::replace(&path, &record) }
    }

    /// Nothing has the names any more: the next start takes those that are the cluster's own.
    pub fn release(&self) -> Result<()> {
        let path = self.data.join(RECORD);
        match path.exists() && self.names != Names::of(&self.id) {
            true => Dirs { names: Names::of(&self.id), ..self.clone() }.claim(),
            false => Ok(()),
        }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data.join("admin.conf")
    }

    /// A command line of this program about this cluster, for people.
    pub fn command(&self, verb: &str) -> String {
        match self.is_default() {
            true => format!("ironclad {verb}"),
            false => format!("ironclad {verb} --data-dir {}", self.data.display()),
        }
    }

    /// The log of a cluster in the background.
    pub fn log(&self) -> PathBuf {
        self.data.join("ironclad.log")
    }

    /// The node agent's part.
    pub fn kubelet(&self) -> PathBuf {
        self.data.join("kubelet")
    }

    /// Logs of pods: where whoever knows Kubernetes looks for them, but for one cluster of the machine alone.
    pub fn pod_logs(&self) -> PathBuf {
        if self.is_default() { "/var/log/pods".into() } else { self.data.join("logs") }
    }

    /// Links to the logs of containers, where programs look that ship logs.
    pub fn log_links(&self) -> Option<PathBuf> {
        self.is_default().then(|| "/var/log/containers".into())
    }

    fn is_default(&self) -> bool {
        self.data == Path::new(DEFAULT_DATA)
    }

    /// Settings of the running (or killed) cluster, if there is one.
    pub fn settings(&self) -> Option<Settings> {
        settings(&self.run)
    }

    /// Writes them.
    pub fn save(&self, settings: &Settings) -> Result<()> {
        let (path, new) = (self.run.join("settings.json"), self.run.join("settings.new"));
        let written = fs::write(&new, serde_json::to_vec(settings)?).and_then(|()| fs::rename(&new, &path));
        written.with_context(|| format!("write {}", path.display()))
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
        network(&self.run)
    }
}

/// Settings of the cluster that has this of what does not survive a reboot.
pub fn settings(run: &Path) -> Option<Settings> {
    serde_json::from_slice(&fs::read(run.join("settings.json")).ok()?).ok()
}

/// The pod network's part of it.
pub fn network(run: &Path) -> PathBuf {
    run.join("network")
}

/// FNV-1a of the path: short enough for the name of a link.
fn id(data: &Path) -> String {
    let text = data.to_string_lossy();
    let hash = text.bytes().fold(0x811c_9dc5, |h: u32, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_directory_is_one_cluster_by_whatever_path() {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, link) = (dir.path().join("data"), dir.path().join("link"));
        fs::create_dir(&data).expect("made");
        symlink(&data, &link).expect("made");
        let dirs = Dirs::open(&data).expect("opens");
        dirs.claim().expect("is recorded");
        let other = Dirs::open(&link).expect("opens");
        assert_eq!((other.id, other.run, other.cgroup, other.names), (dirs.id, dirs.run, dirs.cgroup, dirs.names));
    }

    #[test]
    fn one_that_was_moved_or_copied_is_another() {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, copy) = (dir.path().join("data"), dir.path().join("copy"));
        for path in [&data, &copy] {
            fs::create_dir(path).expect("made");
        }
        let dirs = Dirs::open(&data).expect("opens");
        dirs.claim().expect("is recorded");
        fs::copy(data.join(RECORD), copy.join(RECORD)).expect("copied");
        let other = Dirs::open(&copy).expect("opens");
        assert_eq!(other, Dirs::of(&copy));
        assert_ne!(other.run, dirs.run);
        other.claim().expect("is recorded");
        assert_eq!(Dirs::open(&copy).expect("opens"), other);
    }

    #[test]
    fn the_record_outlives_what_a_later_program_would_choose() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = Dirs::of(dir.path());
        let first = Dirs { names: Names::first(), ..own.clone() };
        first.claim().expect("is recorded");
        assert_eq!(Dirs::open(dir.path()).expect("opens"), first);
        first.release().expect("is over");
        assert_eq!(Dirs::open(dir.path()).expect("opens"), own);
        fs::write(dir.path().join(RECORD), "{}").expect("written");
        let words = format!("{:#}", Dirs::open(dir.path()).expect_err("says nothing"));
        assert!(words.contains("does not say what the cluster is called"), "{words}");
    }

    #[test]
    fn the_default_has_short_names_and_others_have_their_own() {
        let (default, other) = (Dirs::of(Path::new(DEFAULT_DATA)), Dirs::of(Path::new("/var/lib/other")));
        assert_eq!((default.run.to_str(), default.cgroup.as_str()), (Some("/run/ironclad"), "ironclad"));
        assert_eq!(other.run, Path::new("/run").join(format!("ironclad-{}", other.id)));
        assert_ne!(default.id, other.id);
        assert_eq!((default.pod_logs(), default.log_links()), ("/var/log/pods".into(), Some("/var/log/containers".into())));
        assert_eq!((other.pod_logs(), other.log_links()), ("/var/lib/other/logs".into(), None));
    }
}
