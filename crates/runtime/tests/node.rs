//! Real pods and containers. Needs root; everything it makes is its own and goes away.

mod common;

use std::time::Duration;

use common::{Node, container};
use runtime::Runtime;

#[tokio::test]
async fn runs_logs_and_remembers() {
    let node = Node::new();
    let (code, log) = node.run("pod", container("main", &["exit", "3", "a", "b"])).await;
    assert_eq!(code, 3);
    assert!(log.contains(&"stdout F out a b".to_owned()) && log.contains(&"stderr F err a b".to_owned()), "{log:?}");
    let pod = node.runtime.pod("pod").await.unwrap().unwrap();
    assert!(pod.ready && pod.netns.unwrap().exists());
    node.runtime.remove_pod("pod").await.unwrap();
    assert!(node.runtime.pods().await.unwrap().is_empty());
}

#[tokio::test]
async fn isolates() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    let (code, identity) = node.exec(&id, &["/probe", "id"]).await;
    assert_eq!(code, 0);
    for line in ["Uid: 0 0 0 0", "Groups: 0", "CapEff: 00000000a80425fb", "CapInh: 0000000000000000", "Seccomp: 2", "cwd /"] {
        assert!(identity.lines().any(|have| have == line), "{line} in {identity}");
    }
    assert_eq!(node.exec(&id, &["/probe", "cat", "/proc/sys/kernel/hostname"]).await.1, "my-host\n");
    assert_eq!(node.exec(&id, &["/probe", "cat", "/proc/1/comm"]).await.1, "probe\n");
    assert!(node.exec(&id, &["/probe", "ls", "/dev"]).await.1.contains("null"));
    assert_eq!(node.exec(&id, &["/probe", "cat", "/proc/keys"]).await.1, "", "masked");
    assert_eq!(node.exec(&id, &["/probe", "unshare"]).await.0, 1, "seccomp refuses");
    let refused = node.runtime.exec_sync(&id, &["nothing".into()], Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(refused.to_string(), "exec: \"nothing\": executable file not found in $PATH");
}
