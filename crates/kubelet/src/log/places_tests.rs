//! Whose logs lie where.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use runtime::{Container, PodConfig};

use super::places::*;
use crate::volume::take_down;

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

#[test]
fn a_directory_that_was_begun_goes_unless_somebody_has_something_in_it() {
    let machine = Machine(tempfile::tempdir().expect("directory"));
    let places = machine.places("one");
    pod(&places, "u1");
    let at = |name: &str| machine.path("log/pods").join(name);
    for name in ["ns_p_u2", "ns_p_u3", "ns_p_u4", "ns_p_u5"] {
        fs::create_dir(at(name)).expect("made");
    }
    let own = machine.path("one/kubelet");
    fs::create_dir_all(&own).expect("made");
    let own = fs::canonicalize(own).expect("there");
    fs::write(at("ns_p_u3/.ironclad"), &own.to_str().expect("text")[..3]).expect("written");
    fs::write(at("ns_p_u4/theirs"), "").expect("written");
    symlink(machine.path("one"), at("ns_p_u6")).expect("linked");
    ["u1", "u2", "u3", "u4", "u6", "u7"].iter().for_each(|uid| places.remove_begun(uid));
    assert_eq!(names(machine.path("log/pods")), ["ns_p_u1", "ns_p_u4", "ns_p_u5", "ns_p_u6"]);
    assert_eq!(names(at("ns_p_u1")), [".ironclad", "c"]);
}
