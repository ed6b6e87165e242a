//! The cgroups above the pods' own. Needs root.

mod common;

use std::path::{Path, PathBuf};

use runtime::{Error, PodConfig, Resources, Runtime};

use common::Node;

/// A file of a group, in whichever version of cgroups there is.
fn file(node: &Node, controller: &str, group: &str, name: &str) -> Option<PathBuf> {
    let tops = [Path::new("/sys/fs/cgroup").join(controller), PathBuf::from("/sys/fs/cgroup")];
    tops.into_iter().map(|top| top.join(&node.config.cgroup_root).join(group).join(name)).find(|path| path.exists())
}

#[tokio::test]
async fn they_have_values_of_their_own_which_pods_do_not_change() {
    let node = Node::new();
    let shares = |cpu_shares| Resources { cpu_shares, ..Resources::default() };
    let all = Resources { memory_limit: 1 << 30, pids_limit: 1000, ..shares(2048) };
    node.runtime.update_group("", &all).await.unwrap();
    node.runtime.update_group("burstable", &shares(1536)).await.unwrap();
    let pod = PodConfig { cgroup_parent: "burstable".into(), resources: shares(512), ..node.pod("pod") };
    node.runtime.start_pod(&pod).await.unwrap();
    let read = |controller: &str, group: &str, names: [&str; 2]| {
        let path = names.into_iter().find_map(|name| file(&node, controller, group, name)).expect("the file is there");
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    };
    // Version 1, version 2.
    let cpu = ["cpu.shares", "cpu.weight"];
    assert!(matches!(&*read("cpu", "burstable", cpu), "1536" | "138"));
    assert!(matches!(&*read("cpu", "burstable/podpod", cpu), "512" | "59"));
    assert_eq!(read("memory", "", ["memory.limit_in_bytes", "memory.max"]), (1 << 30).to_string());
    assert_eq!(read("pids", "", ["pids.max", "pids.max"]), "1000");
    node.runtime.update_group("burstable", &shares(2)).await.unwrap();
    assert!(matches!(&*read("cpu", "burstable", cpu), "2" | "1"));
    let error = node.runtime.update_group("../other", &shares(2)).await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error:?}");
}
