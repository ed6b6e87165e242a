//! Pods with users of their own.

use std::time::Duration;

use runtime::{ContainerConfig, PodConfig, Runtime};

use super::Node;

/// Ids of one pod.
pub const LENGTH: u32 = 65536;

pub fn mapped(node: &Node, uid: &str) -> PodConfig {
    PodConfig { user_namespace: true, ..node.pod(uid) }
}

/// Starts the pod `pod` with a user namespace.
pub async fn pod(node: &Node) {
    node.runtime.start_pod(&mapped(node, "pod")).await.expect("a pod with a user namespace");
}

pub async fn start(node: &Node, config: &ContainerConfig) -> String {
    node.runtime.start_container("pod", config).await.expect("a container")
}

/// What a program in the container prints; it must end well.
pub async fn see(node: &Node, id: &str, args: &[&str]) -> String {
    let (code, text) = node.exec(id, &[&["/probe"], args].concat()).await;
    assert_eq!(code, 0, "{args:?}: {text}");
    text.trim_end().to_owned()
}

/// The same for one that may fail: its code and its words.
pub async fn attempt(node: &Node, id: &str, args: &[&str]) -> (i32, String) {
    let command: Vec<String> = [&["/probe"], args].concat().iter().map(|word| (*word).to_owned()).collect();
    let output = node.runtime.exec_sync(id, &command, Duration::from_secs(20)).await.expect("it runs");
    (output.code, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// First id on the node of the container's user namespace, by the kernel's word.
pub async fn range(node: &Node, id: &str) -> u32 {
    let (users, groups) = (see(node, id, &["cat", "/proc/self/uid_map"]).await, see(node, id, &["cat", "/proc/self/gid_map"]).await);
    assert_eq!(users, groups);
    let numbers: Vec<u32> = users.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let [0, first, LENGTH] = numbers[..] else { panic!("{users}") };
    assert!(first >= LENGTH && first % LENGTH == 0, "{first}");
    first
}

/// Status of the first processes of a pod's containers, as the node sees them.
pub fn on_node(node: &Node, uid: &str) -> Vec<String> {
    let shim = node.shim(uid);
    let children = std::fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
    children.split_whitespace().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap()).collect()
}

pub fn line(status: &str, name: &str) -> Vec<String> {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}
