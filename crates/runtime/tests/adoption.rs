//! After a kill of the node agent: what an earlier one recorded is compared with what its shims say. Needs root.

mod common;

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime::{Container, ContainerState, Embedded, Error, Runtime};

use common::{Node, container};

/// What another agent on the same directories is told of the pod `pod`.
async fn told(node: &Node) -> Vec<Container> {
    let second = Embedded::new(node.config.clone()).unwrap();
    second.pod("pod").await.unwrap().unwrap().containers
}

fn dir(node: &Node, id: &str) -> PathBuf {
    node.config.root.join("containers").join(id)
}

/// Records a copy of a container under another id, as if its start had been about to come.
fn prepared(node: &Node, id: &str) -> String {
    let other = id.chars().rev().collect::<String>();
    let text = std::fs::read_to_string(dir(node, id).join("container.json")).unwrap();
    std::fs::create_dir(dir(node, &other)).unwrap();
    std::fs::write(dir(node, &other).join("container.json"), text.replace(id, &other)).unwrap();
    other
}

#[tokio::test]
async fn a_start_that_never_began_is_undone() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    let other = prepared(&node, &id);
    let seen = told(&node).await;
    assert_eq!(seen.iter().map(|c| &c.id).collect::<Vec<_>>(), [&id]);
    assert!(!dir(&node, &other).exists());
    // The same where the pod's process is gone, too.
    let other = prepared(&node, &id);
    kill(Pid::from_raw(node.shim("pod")), Signal::SIGKILL).unwrap();
    node.ended("pod", &id).await;
    let seen = told(&node).await;
    assert_eq!(seen.iter().map(|c| &c.id).collect::<Vec<_>>(), [&id]);
    assert!(!dir(&node, &other).exists());
}

#[tokio::test]
async fn what_was_made_before_a_record_goes() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    // A pod whose record was not written, or is gone already; a container's group and directory without a record.
    let (pod, unborn) = (node.config.root.join("pods/other"), "f".repeat(64));
    std::fs::create_dir(&pod).unwrap();
    std::fs::create_dir(dir(&node, &unborn)).unwrap();
    let group = groups(&node).pop().expect("the container has a group").join(&unborn);
    std::fs::create_dir(&group).unwrap();
    let seen = told(&node).await;
    assert_eq!(seen.iter().map(|c| &c.id).collect::<Vec<_>>(), [&id]);
    assert!(!pod.exists() && !dir(&node, &unborn).exists() && !group.exists());
    assert!(!groups(&node).is_empty(), "the container's own stays");
}

/// Directories of the pod's group that have groups of containers in them.
fn groups(node: &Node) -> Vec<PathBuf> {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
    let tops = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]).map(|top| top.join(&node.config.cgroup_root).join("podpod"));
    tops.filter(|dir| std::fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(|e| e.path().is_dir()))).collect()
}

#[tokio::test]
async fn a_start_that_was_not_heard_of_is_known() {
    let node = Node::new();
    let runs = node.start("pod", container("main", &["wait"])).await;
    let ended = node.runtime.start_container("pod", &container("short", &["exit", "5"])).await.unwrap();
    node.ended("pod", &ended).await;
    // A full disk: the shim could not write that it has begun.
    std::fs::remove_file(dir(&node, &runs).join("state.json")).unwrap();
    let seen = told(&node).await;
    assert!(matches!(seen[0].state, ContainerState::Running { started_at } if started_at > 0), "{seen:?}");
    assert!(matches!(seen[1].state, ContainerState::Exited { code: 5, .. }), "{seen:?}");
}

#[tokio::test]
async fn nothing_is_told_of_a_pod_before_its_process_has_spoken() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    let shim = Pid::from_raw(node.shim("pod"));
    kill(shim, Signal::SIGSTOP).unwrap();
    let second = Embedded::new(node.config.clone()).unwrap();
    let asked = second.clone();
    let answer = tokio::spawn(async move { asked.pod("pod").await });
    // Other pods do not wait for it.
    let elsewhere = second.start_pod(&node.pod("other")).await.unwrap();
    assert!(elsewhere.ready && second.pod("other").await.unwrap().is_some());
    assert!(!answer.is_finished());
    kill(shim, Signal::SIGCONT).unwrap();
    let seen = answer.await.unwrap().unwrap().unwrap();
    assert!(matches!(seen.containers[0].state, ContainerState::Running { .. }), "{seen:?}");
    assert_eq!(seen.containers[0].id, id);
}

#[tokio::test]
async fn a_start_without_a_sandbox_leaves_no_record() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    let shim = Pid::from_raw(node.shim("pod"));
    // It hears of the start only after its end.
    kill(shim, Signal::SIGSTOP).unwrap();
    let (runtime, again) = (node.runtime.clone(), container("again", &["wait"]));
    let start = tokio::spawn(async move { runtime.start_container("pod", &again).await });
    let prepared = async {
        while std::fs::read_dir(node.config.root.join("containers")).unwrap().count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), prepared).await.expect("it is being started");
    kill(shim, Signal::SIGKILL).unwrap();
    let error = start.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NoSandbox(_)), "{error:?}");
    assert_eq!(node.ended("pod", &id).await.0, 255);
    let pod = node.runtime.pod("pod").await.unwrap().unwrap();
    assert_eq!(pod.containers.iter().map(|c| &c.id).collect::<Vec<_>>(), [&id]);
    assert_eq!(std::fs::read_dir(node.config.root.join("containers")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_shim_that_nobody_waits_for_ends() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let sandbox = node.config.run.join("pods/pod/sandbox.json");
    let place = node.path().join("half");
    std::fs::create_dir(&place).unwrap();
    std::fs::copy(sandbox, place.join("sandbox.json")).unwrap();
    // Its starter has gone between its start and its first step.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut shim = std::process::Command::new(common::probe());
    let ended = shim.args(["shim", "--dir"]).arg(&place).stdout(writer).status().unwrap();
    assert_eq!(ended.code(), Some(1));
    assert!(!place.join("shim.sock").exists());
}
