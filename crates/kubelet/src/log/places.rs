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
        let is_place = dir.parent().is_some_and(|parent| self.all().contains(parent));
        is_place && (is_inside(&self.data, dir) || owner(dir).as_deref() == Some(&*own_name(&self.data)))
    }

    /// This agent's directories of pods' logs, with the uids of the pods.
    pub fn present(&self) -> Vec<(String, PathBuf)> {
        let dirs = self.all().into_iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
        let pod = |dir: fs::DirEntry| Some((dir.file_name().to_str()?.rsplit_once('_')?.1.to_owned(), dir.path()));
        dirs.filter_map(pod).filter(|(_, dir)| self.is_own(dir)).collect()
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
fn link_name(pod: &PodConfig, container: &str, id: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn path(&self, below: &str) -> PathBuf {
            self.0.path().join(below)
        }

        fn places(&self, cluster: &str) -> Places {
            fs::create_dir_all(self.path(cluster)).expect("made");
            Places::new(&self.path(cluster).join("kubelet"), &self.path("log/pods"), Some(&self.path("log/containers")))
        }
    }

    fn pod(places: &Places, uid: &str) -> (PodConfig, Container) {
        let config = PodConfig { uid: uid.into(), name: "p".into(), namespace: "ns".into(), ..PodConfig::default() };
        let dir = places.of_pod("ns", "p", uid);
        places.make(&dir).expect("made");
        fs::create_dir(dir.join("c")).expect("made");
        fs::write(dir.join("c/0.log"), "").expect("written");
        let container = Container {
            id: format!("id{uid}"), pod_uid: uid.into(), name: "c".into(), attempt: 0, image: String::new(),
            image_id: String::new(), state: runtime::ContainerState::Created, log_path: dir.join("c/0.log"),
            resources: Default::default(), labels: Default::default(), user: None,
        };
        places.link(&config, &container).expect("linked");
        (config, container)
    }

    fn names(dir: PathBuf) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    #[test]
    fn each_agent_finds_its_own_and_no_other() {
        let machine = Machine(tempfile::tempdir().expect("directory"));
        let (one, two) = (machine.places("one"), machine.places("two"));
        pod(&one, "u1");
        pod(&two, "u2");
        fs::create_dir(machine.path("log/pods/ns_other_u3")).expect("made");
        let uids = |places: &Places| places.present().into_iter().map(|(uid, _)| uid).collect::<Vec<_>>();
        assert_eq!((uids(&one), uids(&two)), (vec!["u1".to_owned()], vec!["u2".to_owned()]));
        assert!(!one.is_own(&machine.path("log/pods/ns_p_u2")) && !one.is_own(&machine.path("log/pods")));
        // The same again, told by another path.
        symlink(machine.path("one"), machine.path("alias")).expect("linked");
        assert_eq!(uids(&machine.places("alias")), ["u1"]);
    }

    #[test]
    fn an_agent_that_is_told_another_place_knows_those_of_before() {
        let machine = Machine(tempfile::tempdir().expect("directory"));
        pod(&machine.places("one"), "u1");
        fs::create_dir_all(machine.path("one/logs/ns_old_u0")).expect("made");
        let moved = Places::new(&machine.path("one/kubelet"), &machine.path("elsewhere"), None);
        pod(&moved, "u2");
        let mut uids: Vec<_> = moved.present().into_iter().map(|(uid, _)| uid).collect();
        uids.sort();
        assert_eq!(uids, ["u0", "u1", "u2"]);
    }

    #[test]
    fn links_have_upstreams_names_and_go_with_their_logs() {
        let machine = Machine(tempfile::tempdir().expect("directory"));
        let places = machine.places("one");
        let (config, container) = pod(&places, "u1");
        pod(&places, "u2");
        symlink("/nonexistent/foreign", machine.path("log/containers/foreign.log")).expect("linked");
        assert_eq!(names(machine.path("log/containers")), ["foreign.log", "p_ns_c-idu1.log", "p_ns_c-idu2.log"]);
        places.link(&config, &container).expect("it is there");
        places.unlink(&config, &container);
        take_down::remove(&machine.path("log/pods/ns_p_u2")).expect("removed");
        places.sweep_links();
        assert_eq!(names(machine.path("log/containers")), ["foreign.log"]);
        let long = PodConfig { name: "n".repeat(250), namespace: "x".repeat(63), ..config };
        assert_eq!(link_name(&long, "c", "id").len(), 255);
        assert!(link_name(&long, "c", "id").ends_with("nn_.log"));
    }

    #[test]
    fn all_that_was_made_is_removed_and_nothing_else() {
        let machine = Machine(tempfile::tempdir().expect("directory"));
        let (one, two) = (machine.places("one"), machine.places("two"));
        pod(&one, "u1");
        pod(&two, "u2");
        let removed = remove_all(&machine.path("one/kubelet")).expect("removed");
        assert_eq!(removed.len(), 2, "{removed:?}");
        assert_eq!(names(machine.path("log/pods")), ["ns_p_u2"]);
        assert_eq!(names(machine.path("log/containers")), ["p_ns_c-idu2.log"]);
        assert_eq!(remove_all(&machine.path("one/kubelet")).expect("nothing there"), Vec::<String>::new());
        // The first one made the directories, and is gone: what it leaves is empty at most.
        remove_all(&machine.path("two/kubelet")).expect("removed");
        assert!(names(machine.path("log/pods")).is_empty());
    }

    #[test]
    fn a_link_in_place_of_a_directory_is_refused() {
        let machine = Machine(tempfile::tempdir().expect("directory"));
        let places = machine.places("one");
        pod(&places, "u1");
        fs::create_dir(machine.path("target")).expect("made");
        let dir = places.of_pod("ns", "p", "u9");
        symlink(machine.path("target"), &dir).expect("linked");
        assert!(places.make(&dir).is_err());
        assert!(names(machine.path("target")).is_empty());
    }
}
