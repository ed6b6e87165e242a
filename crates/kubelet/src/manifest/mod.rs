//! Static pods: those that files of the node describe, and not the API (upstream: `pkg/kubelet/config/file.go`,
//! `staticPodPath`). They run whether there is an API server or not; a mirror pod shows each of them there.
//!
//! Place in the straight line: files → [`look`] → the workers of [`crate::pods`], and [`mirror`].

pub mod files;
pub mod mirror;
pub mod own;
pub mod references;
mod workers;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::Change;
use k8s_openapi::api::core::v1::Pod;
use nix::sys::inotify::{AddWatchFlags, InotifyEvent};
use serde_json::Value;
use tokio::sync::{Notify, SetOnce};
use tokio::time::Instant;

use crate::agent::Agent;
use crate::changes::Changes;
use crate::events::Kind;
use crate::pods;
use crate::spec;
use own::Static;

/// Before a directory is looked at again that cannot be read or watched.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the pod of a file that has turned bad runs on: so often upstream takes the files of a directory that are good,
/// and no other (`FileCheckFrequency`).
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads what a file says, as the API server would: the rules of a kind are none of the agent's own.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// YAML or JSON as a tree.
    pub parse: fn(&str) -> Result<Value, String>,
    /// The pod with its defaults, and what of the file it has no field for.
    pub decode: fn(&Value) -> Result<(Pod, Vec<String>), String>,
    /// Whether it could be created.
    pub check: fn(&Pod) -> Result<(), String>,
}

/// Where static pods come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// A directory of files with one pod each, or one such file.
    pub path: PathBuf,
    /// How they are read.
    pub reader: Reader,
}

/// The static pods of this node.
#[derive(Default)]
pub struct Statics {
    /// Set when the files have been read once, or there are none to read.
    pub read: SetOnce<()>,
    /// Wakes who keeps the mirror pods.
    pub changed: Notify,
    /// What the API shows of them.
    pub mirrors: mirror::Mirrors,
    current: Mutex<BTreeMap<PathBuf, Static>>,
    errors: Mutex<BTreeMap<PathBuf, String>>,
    /// Until when the pods of files run on that have turned bad.
    doubtful: Mutex<BTreeMap<PathBuf, Instant>>,
}

impl Statics {
    /// All of them, by their files.
    pub fn all(&self) -> Vec<Static> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Static>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubtful(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Instant>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the pods as their files say, for as long as the agent runs.
pub async fn run(agent: Arc<Agent>) {
    let Some(source) = agent.config.static_pods.clone() else { return std::future::pending().await };
    loop {
        // Watched before it is looked at: nothing is missed.
        let changes = watch(&source.path);
        let (changes, again) = match changes.and_then(|changes| Ok((changes, look(&agent, &source, Instant::now())?))) {
            Ok(both) => both,
            Err(error) => {
                tracing::error!(path = %source.path.display(), %error, "static pods not read");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let change = async {
            while changes.next().await.is_ok_and(|events| !events.iter().any(|event| counts(&source.path, event))) {}
        };
        tokio::select! {
            () = change => {}
            () = tokio::time::sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
        }
    }
}

/// Watches the files; where there are none yet, the nearest directory in which they can come to be.
fn watch(path: &Path) -> io::Result<Changes> {
    let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVE | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ATTRIB;
    let there = path.ancestors().find(|place| place.is_dir()).unwrap_or(Path::new("/"));
    Changes::of(there, flags)
}

/// A file that is being written is looked at when that is done; a link has no writing.
fn counts(path: &Path, event: &InotifyEvent) -> bool {
    if event.mask != AddWatchFlags::IN_CREATE || !path.is_dir() {
        return true;
    }
    let made = event.name.as_ref().and_then(|name| path.join(name).symlink_metadata().ok());
    made.is_some_and(|made| made.is_symlink() || std::os::unix::fs::MetadataExt::nlink(&made) > 1)
}

/// Reads all files, and tells the workers what differs. A file that is wrong is told of; the others are as good as ever. Its
/// own pod stays as it was for [`PATIENCE`], and then ends; that of a path that is a file itself stays as long as that is
/// wrong. Returns when to look again though nothing changes. The error is that nothing could be read.
pub fn look(agent: &Arc<Agent>, source: &Source, now: Instant) -> io::Result<Option<Instant>> {
    let statics = &agent.statics;
    let mut found = BTreeMap::new();
    let mut wrong = BTreeMap::new();
    let mut doubtful = BTreeMap::new();
    let alone = source.path.is_file();
    for (path, text) in files::read(&source.path)? {
        match text.and_then(|text| own::read(&text, &path, &source.reader, &agent.config.node_name)) {
            Ok((fresh, unknown)) => {
                if !unknown.is_empty() {
                    wrong.insert(path.clone(), unknown.join(", "));
                }
                found.insert(path, fresh);
            }
            Err(error) => {
                wrong.insert(path.clone(), error);
                let Some(old) = statics.lock().get(&path).cloned() else { continue };
                let until = statics.doubtful().get(&path).copied().unwrap_or(now + PATIENCE);
                if alone || now < until {
                    found.insert(path.clone(), old);
                }
                if !alone && now < until {
                    doubtful.insert(path, until);
                }
            }
        }
    }
    if alone && found.is_empty() && !statics.read.initialized() {
        // Nobody knows what was in it: what runs is left alone.
        tell(agent, &wrong);
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not good"));
    }
    let again = doubtful.values().min().copied();
    *statics.doubtful() = doubtful;
    for (path, name) in own::remove_doubles(&mut found) {
        wrong.insert(path, format!("duplicate pod name {name:?}, ignoring"));
    }
    tell(agent, &wrong);
    let changes = exchange(&mut statics.lock(), found);
    for change in &changes {
        pods::take_static(agent, change);
    }
    if !changes.is_empty() {
        statics.changed.notify_one();
    }
    let _ = statics.read.set(());
    Ok(again)
}

/// Says what is wrong with files, once for each mistake.
fn tell(agent: &Agent, wrong: &BTreeMap<PathBuf, String>) {
    let mut known = agent.statics.errors.lock().unwrap_or_else(PoisonError::into_inner);
    for (path, error) in wrong.iter().filter(|(path, error)| known.get(*path) != Some(error)) {
        tracing::error!(path = %path.display(), error, "a static pod's file is not good");
        let text = format!("Static pod file {}: {error}", path.display());
        agent.events.node(&agent.config.node_name, Kind::Warning, "FailedValidation", text);
    }
    known.clone_from(wrong);
}

/// Puts the new pods in place of the old ones. What differs, with the pods that go first.
fn exchange(current: &mut BTreeMap<PathBuf, Static>, found: BTreeMap<PathBuf, Static>) -> Vec<Change<Pod>> {
    let mut changes = Vec::new();
    let mut next = BTreeMap::new();
    let old = std::mem::take(current);
    let uid = |one: &Static| spec::uid(&one.pod).to_owned();
    let kept = |one: &Static, all: &BTreeMap<PathBuf, Static>| all.values().find(|other| uid(other) == uid(one)).cloned();
    for one in old.values().filter(|one| kept(one, &found).is_none()) {
        changes.push(Change { old: Some(one.pod.clone()), new: None });
    }
    for (path, fresh) in found {
        match kept(&fresh, &old) {
            // A uid of the file's own says nothing of what else is in it.
            Some(known) if known.is_same(&fresh) => drop(next.insert(path, known)),
            Some(known) => {
                changes.push(Change { old: Some(known.pod), new: Some(fresh.pod.clone()) });
                next.insert(path, fresh);
            }
            None => {
                changes.push(Change { old: None, new: Some(fresh.pod.clone()) });
                next.insert(path, fresh);
            }
        }
    }
    *current = next;
    changes
}

#[cfg(test)]
pub(crate) mod tests;
