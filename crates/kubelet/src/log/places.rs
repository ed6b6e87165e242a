//! Where the logs of pods lie: `<pod logs>/<namespace>_<name>_<uid>/<container>/<attempt>.log`, and the links to them
//! that programs look for which ship logs (upstream: `podLogsDir`, `/var/log/pods`, `/var/log/containers`).
//!
//! Others may have pods' logs in the same directory: another cluster, or upstream's kubelet. So a pod's directory says
//! whose it is, and nothing is removed that does not say so. Which directories there ever were, the agent records
//! before it uses one: `down` finds them, and so does an agent that is told another one.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use runtime::{Container, PodConfig};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::volume::take_down;

/// The record in the agent's directory.
const RECORD: &str = "pod-logs.json";
/// The file in a pod's log directory that says whose it is: it has the path of the agent's directory.
const OWNER: &str = ".ironclad";
/// The longest path that is read from it.
const LONGEST: u64 = 4096;
/// Longest file name (upstream: `ext4MaxFileNameLen`).
const LONGEST_NAME: usize = 255;
const SUFFIX: &str = ".log";

/// What is used, and what was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Directories with those of pods.
    pods: BTreeSet<PathBuf>,
    /// Directories with links.
    links: BTreeSet<PathBuf>,
    /// Those of both that were not there before.
    made: BTreeSet<PathBuf>,
}

/// The places of one agent's logs.
#[derive(Debug)]
pub struct Places {
    pods: PathBuf,
    links: Option<PathBuf>,
    data: PathBuf,
    known: Mutex<Option<Record>>,
}

impl Places {
    /// Those of the agent that keeps its own files in `data`. Changes nothing yet.
    pub fn new(data: &Path, pods: &Path, links: Option<&Path>) -> Self {
        Places { pods: pods.to_owned(), links: links.map(Path::to_owned), data: data.to_owned(), known: Mutex::default() }
    }

    /// Directory of one pod's logs.
    pub fn of_pod(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.pods.join(format!("{namespace}_{name}_{uid}"))
    }

    /// Makes a pod's directory, and says in it whose it is.
    pub fn make(&self, dir: &Path) -> io::Result<()> {
        self.claim()?;
        // Logs are for root and his group alone, wherever they lie.
        match DirBuilder::new().mode(0o750).create(dir) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists && fs::symlink_metadata(dir)?.is_dir() => {}
            made => made?,
        }
        if owner(dir).as_deref() == Some(&*own_name(&self.data)) {
            return Ok(());
        }
        let file = dir.join(OWNER);
        // A link would have the words written elsewhere.
        match fs::remove_file(&file) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(file)?;
        file.write_all(own_name(&self.data).as_os_str().as_encoded_bytes())
    }

    /// Records the places, and makes them. Once; after an error it is tried again.
    fn claim(&self) -> io::Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some() {
            return Ok(());
        }
        let before = recorded(&self.data)?;
        let mut record = before.clone();
        record.pods.insert(self.pods.clone());
        record.links.extend(self.links.clone());
        let both = std::iter::once(&self.pods).chain(&self.links);
        record.made.extend(both.clone().filter(|dir| !dir.exists()).cloned());
        fs::create_dir_all(&self.data)?;
        if record != before {
            durable::replace(&self.data.join(RECORD), &record)?;
        }
        for dir in both {
            let mode = if is_inside(&self.data, dir) { 0o700 } else { 0o755 };
            DirBuilder::new().recursive(true).mode(mode).create(dir)?;
        }
        *known = Some(record);
        Ok(())
    }

    /// Whether a directory has a pod's logs and is this agent's to remove.
    pub fn is_own(&self, dir: &Path) -> bool {
        dir.parent().is_some_and(|parent| self.all().contains(parent)) && self.is_marked(dir, &own_name(&self.data))
    }

    fn is_marked(&self, dir: &Path, own: &Path) -> bool {
        is_inside(&self.data, dir) || owner(dir).as_deref() == Some(own)
    }

    /// This agent's directories of pods' logs, with the uids of the pods.
    pub fn present(&self) -> Vec<(String, PathBuf)> {
        let dirs = self.all().into_iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
        let pod = |dir: fs::DirEntry| Some((dir.file_name().to_str()?.rsplit_once('_')?.1.to_owned(), dir.path()));
        let own = own_name(&self.data);
        dirs.filter_map(pod).filter(|(_, dir)| self.is_marked(dir, &own)).collect()
    }

    /// Removes the directory that was begun for a pod of this agent's and does not say so: the agent was ended in between.
    /// There is nothing in it but, at most, the beginning of its mark; of whoever has anything in one, it stays.
    pub fn remove_begun(&self, uid: &str) {
        let dirs = self.all().into_iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
        let is_its = |dir: &fs::DirEntry| {
            let name = dir.file_name();
            let of = name.to_str().and_then(|name| name.rsplit_once('_')).map(|(_, of)| of);
            of == Some(uid) && dir.file_type().is_ok_and(|kind| kind.is_dir())
        };
        let own = own_name(&self.data);
        for dir in dirs.filter(is_its).map(|dir| dir.path()) {
            let bytes = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
            if owner(&dir).is_some_and(|mark| mark != own && bytes(&own).starts_with(&bytes(&mark))) {
                // Then the directory stays, too.
                let _ = fs::remove_file(dir.join(OWNER));
            }
            match fs::remove_dir(&dir) {
                Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
                    tracing::warn!(uid, %error, "a log directory that was begun was not removed");
                }
                _ => {}
            }
        }
    }

    /// Where there may be logs: of now, of before, and where all were once, beside the agent's own files.
    fn all(&self) -> BTreeSet<PathBuf> {
        let recorded = recorded(&self.data).unwrap_or_default().pods;
        recorded.into_iter().chain([self.pods.clone(), self.data.with_file_name("logs")]).collect()
    }

    /// Links to a container's log.
    pub fn link(&self, pod: &PodConfig, container: &Container) -> io::Result<()> {
        let Some(links) = &self.links else { return Ok(()) };
        self.claim()?;
        match symlink(&container.log_path, links.join(link_name(pod, &container.name, &container.id))) {
            // It has the container's id in its name.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            done => done,
        }
    }

    /// Removes the link.
    pub fn unlink(&self, pod: &PodConfig, container: &Container) {
        let Some(links) = &self.links else { return };
        match fs::remove_file(links.join(link_name(pod, &container.name, &container.id))) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(pod = pod.name, container = container.name, %error, "link to a log not removed");
            }
            _ => {}
        }
    }

    /// Removes links into places of this agent's that lead to no log any more.
    pub fn sweep_links(&self) {
        let all = self.all();
        for links in recorded(&self.data).unwrap_or_default().links.iter().chain(&self.links) {
            remove_dangling(links, |log| all.iter().any(|dir| log.starts_with(dir)));
        }
    }
}

/// Removes what an agent has put elsewhere than below its cluster's directory. It must not run. What was removed, in words.
pub fn remove_all(data: &Path) -> io::Result<Vec<String>> {
    let record = recorded(data)?;
    let places = Places::new(data, &data.with_file_name("logs"), None);
    let mut removed = Vec::new();
    for (_, dir) in places.present().into_iter().filter(|(_, dir)| !is_inside(data, dir)) {
        take_down::remove(&dir).map_err(io::Error::other)?;
        removed.push(format!("log directory {}", dir.display()));
    }
    for links in &record.links {
        let gone = remove_dangling(links, |log| record.pods.iter().any(|dir| log.starts_with(dir)));
        removed.extend(gone.into_iter().map(|link| format!("link to a log {}", link.display())));
    }
    for dir in &record.made {
        // Others have something in it, or it is gone.
        if !is_inside(data, dir) && fs::remove_dir(dir).is_ok() {
            removed.push(format!("log directory {}", dir.display()));
        }
    }
    match fs::remove_file(data.join(RECORD)) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(removed),
    }
}

fn recorded(data: &Path) -> io::Result<Record> {
    match fs::read(data.join(RECORD)) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Record::default()),
        Err(e) => Err(e),
    }
}

/// Below the directory of the cluster, of which the agent has a part: all of that is its own.
fn is_inside(data: &Path, dir: &Path) -> bool {
    data.parent().is_some_and(|cluster| dir.starts_with(cluster))
}

/// By what name an agent says that something is its own: its directory, by whatever path it was told.
fn own_name(data: &Path) -> PathBuf {
    fs::canonicalize(data).unwrap_or_else(|_| data.to_owned())
}

fn owner(dir: &Path) -> Option<PathBuf> {
    let mut text = String::new();
    super::open(&dir.join(OWNER)).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text.into())
}

/// Upstream: `pkg/kubelet/kuberuntime/legacy.go`.
pub(super) fn link_name(pod: &PodConfig, container: &str, id: &str) -> String {
    let mut name = format!("{}_{}_{container}-{id}", pod.name, pod.namespace);
    // All of these are ASCII.
    name.truncate(LONGEST_NAME - SUFFIX.len());
    name + SUFFIX
}

fn remove_dangling(links: &Path, is_own: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(links).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_over = |link: &PathBuf| fs::read_link(link).is_ok_and(|log| is_own(&log) && fs::symlink_metadata(log).is_err());
    entries.filter(is_over).filter(|link| fs::remove_file(link).is_ok()).collect()
}
