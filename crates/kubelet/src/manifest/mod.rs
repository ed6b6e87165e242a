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

use crate::agent::Agent;
use crate::changes::Changes;
use crate::events::Kind;
use crate::pods;
use crate::spec;
use own::Static;

/// Before a directory is looked at again that cannot be read or watched.
const AGAIN: Duration = Duration::from_secs(10);

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
}

impl Statics {
    /// All of them, by their files.
    pub fn all(&self) -> Vec<Static> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Static>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the pods as their files say, for as long as the agent runs.
pub async fn run(agent: Arc<Agent>) {
    let Some(source) = agent.config.static_pods.clone() else { return std::future::pending().await };
    loop {
        // Watched before it is looked at: nothing is missed.
        let changes = watch(&source.path);
        if let Err(error) = look(&agent, &source).and(changes.as_ref().map(drop).map_err(|e| io::Error::new(e.kind(), e.to_string()))) {
            tracing::error!(path = %source.path.display(), %error, "static pods not read");
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        let Ok(changes) = changes else { unreachable!("its error was told above") };
        while changes.next().await.is_ok_and(|events| !events.iter().any(|event| counts(&source.path, event))) {}
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

/// Reads all files, and tells the workers what differs. A file that is wrong is told of, and its pod stays as it was:
/// the others are as good as ever. The error is that nothing could be read.
pub fn look(agent: &Arc<Agent>, source: &Source) -> io::Result<()> {
    let statics = &agent.statics;
    let mut found = BTreeMap::new();
    let mut wrong = BTreeMap::new();
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
                found.extend(statics.lock().get(&path).cloned().map(|old| (path, old)));
            }
        }
    }
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
    Ok(())
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
