//! Real pods and containers. Needs root; everything it makes is its own and goes away.

mod common;

use std::time::{Duration, Instant};

use common::{Node, container};
use runtime::{
    ContainerConfig, ContainerState, Embedded, Error, Mount, PodConfig, Propagation, Resources, Runtime,
    Security,
};

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
    for line in [
        "Uid: 0 0 0 0",
        "Groups: 0",
        "CapInh: 0000000000000000",
        "CapEff: 00000000a80425fb",
        "CapAmb: 0000000000000000", 
        "Seccomp: 2",
        "NoNewPrivs: 0",
        "cwd /",
    ] {
        assert!(identity.lines().any(|have| have == line), "{line} in {identity}");
    }
    assert_eq!(node.exec(&id, &["/probe", "cat", "/proc/sys/kernel/hostname"]).await.1, "my-host\n");
    assert_eq!(node.exec(&id, &["/probe", "cat", "/proc/1/comm"]).await.1, "probe\n");
    assert!(node.exec(&id, &["/probe", "ls", "/dev"]).await.1.contains("null"));
    for path in ["/proc/keys", "/proc/interrupts", "/proc/timer_list"] {
        assert_eq!(node.exec(&id, &["/probe", "cat", path]).await.1, "", "{path} is masked");
    }
    assert_eq!(node.exec(&id, &["/probe", "ls", "/sys/firmware"]).await.1, "", "masked");
    assert_eq!(node.exec(&id, &["/probe", "unshare"]).await.0, 1, "seccomp refuses");
    assert_eq!(node.exec(&id, &["/probe", "device", "1", "11"]).await.0, 1, "the kernel's log is no device for it");
    let refused = node.runtime.exec_sync(&id, &["nothing".into()], Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(refused.to_string(), "exec: \"nothing\": executable file not found in $PATH");
}

#[tokio::test]
async fn becomes_another_user() {
    let node = Node::new();
    let mut config = container("writer", &["write", "/dev/stdout", "mine\n"]);
    config.security.user = Some("1000".into());
    assert_eq!(node.run("pod", config).await, (0, vec!["stdout F mine".to_owned()]));
    let mut config = container("main", &["id"]);
    config.working_dir = "/made/for/it".into();
    config.security = Security {
        user: Some("1000".into()),
        group: Some(2000),
        supplemental_groups: vec![3000],
        non_root: true,
        no_new_privileges: true,
        drop_capabilities: vec!["ALL".into()],
        add_capabilities: vec!["NET_ADMIN".into()],
        ..Security::default()
    };
    let (code, log) = node.run("pod", config).await;
    assert_eq!(code, 0);
    let expected = [
        "Uid: 1000 1000 1000 1000",
        "Gid: 2000 2000 2000 2000",
        "Groups: 2000 3000",
        "CapEff: 0000000000000000",
        "CapBnd: 0000000000001000",
        "NoNewPrivs: 1",
        "Seccomp: 2",
        "cwd /made/for/it",
        "pid 1",
    ];
    for line in expected {
        assert!(log.contains(&format!("stdout F {line}")), "{line} in {log:?}");
    }
}

#[tokio::test]
async fn tells_why_it_cannot_start() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let start = async |attempt: u32, change: &dyn Fn(&mut ContainerConfig)| {
        let mut config = ContainerConfig { attempt, ..container("main", &["wait"]) };
        change(&mut config);
        node.runtime.start_container("pod", &config).await.unwrap_err()
    };
    let missing = start(0, &|config| config.command = vec!["nothing".into()]).await;
    assert!(matches!(missing, Error::Start(_)));
    assert_eq!(missing.to_string(), "exec: \"nothing\": executable file not found in $PATH");
    let missing = start(1, &|config| config.command = vec!["/nothing".into()]).await;
    assert_eq!(missing.to_string(), "exec: \"/nothing\": stat /nothing: no such file or directory");
    let root = start(2, &|config| config.security.non_root = true).await;
    assert!(matches!(root, Error::Config(_)) && root.to_string().contains("image will run as root"), "{root}");
    let stranger = start(3, &|config| config.security.user = Some("web".into())).await;
    assert_eq!(stranger.to_string(), "unable to find user web: no matching entries in passwd file");
    let image = start(4, &|config| config.image = "other".into()).await;
    assert!(matches!(image, Error::NotFound(_)));
    let first = node.runtime.pod("pod").await.unwrap().unwrap().containers.remove(0);
    let ContainerState::Exited { code, reason, message, .. } = first.state else { panic!("{first:?}") };
    assert_eq!((code, reason.as_str()), (128, "StartError"));
    assert!(message.contains("executable file not found"));
}

#[tokio::test]
async fn mounts_in_order_and_protects() {
    let node = Node::new();
    let volume = node.path().join("volume");
    std::fs::create_dir_all(volume.join("sub")).unwrap();
    std::fs::write(volume.join("file"), "host").unwrap();
    let mount = |source: &str, target: &str, read_only: bool| Mount {
        source: volume.join(source),
        target: target.into(),
        read_only,
        propagation: Propagation::HostToContainer,
        ..Mount::default()
    };
    let mut config = container("main", &["wait"]);
    config.mounts =
        vec![mount("", "/data", false), mount("file", "/etc/conf/one", true), mount("sub", "/data/sub", true)];
    config.security.read_only_root = true;
    let id = node.start("pod", config).await;
    assert_eq!(node.exec(&id, &["/probe", "cat", "/etc/conf/one"]).await.1, "host");
    assert_eq!(node.exec(&id, &["/probe", "write", "/data/new", "text"]).await.0, 0);
    assert_eq!(std::fs::read_to_string(volume.join("new")).unwrap(), "text");
    for path in ["/data/sub/x", "/etc/conf/one", "/x", "/proc/sys/kernel/hostname", "/sys/x", "/sys/fs/cgroup/x"] {
        let command = ["/probe", "write", path, "x"].map(str::to_owned);
        let output = node.runtime.exec_sync(&id, &command, Duration::from_secs(9)).await.unwrap();
        assert_eq!(output.code, 99, "{path} can be written");
    }
}

#[tokio::test]
async fn limits_and_kills_for_memory() {
    let node = Node::new();
    let resources = Resources {
        memory_limit: 64 << 20,
        cpu_shares: 512,
        cpu_quota: 90_000,
        pids_limit: 50,
        ..Resources::default()
    };
    let mut config = container("main", &["wait"]);
    config.resources = resources.clone();
    let id = node.start("pod", config).await;
    let limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
    if std::path::Path::new(limit).exists() {
        assert_eq!(node.exec(&id, &["/probe", "cat", limit]).await.1, format!("{}\n", 64 << 20));
        let larger = Resources { memory_limit: 128 << 20, ..resources.clone() };
        node.runtime.update_container(&id, &larger).await.unwrap();
        assert_eq!(node.exec(&id, &["/probe", "cat", limit]).await.1, format!("{}\n", 128 << 20));
    }
    assert!(node.runtime.usage(&id).await.unwrap().memory_bytes > 0);
    let mut hungry = container("hungry", &["eat", "200"]);
    hungry.resources = resources;
    let id = node.runtime.start_container("pod", &hungry).await.unwrap();
    assert_eq!(node.ended("pod", &id).await, (137, "OOMKilled".to_owned()));
}

#[tokio::test]
async fn stops_with_grace_then_kills() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    node.ready("main", 0).await;
    node.runtime.stop_container(&id, 20).await.unwrap();
    assert_eq!(node.ended("pod", &id).await, (7, "Error".to_owned()));
    let stubborn = ContainerConfig { attempt: 1, ..container("main", &["wait", "stubborn"]) };
    let id = node.runtime.start_container("pod", &stubborn).await.unwrap();
    node.ready("main", 1).await;
    std::fs::rename(node.logs().join("main/1.log"), node.logs().join("main/1.log.old")).unwrap();
    node.runtime.reopen_log(&id).await.unwrap();
    node.runtime.stop_container(&id, 1).await.unwrap();
    assert_eq!(node.ended("pod", &id).await, (137, "Error".to_owned()));
    let rotated = std::fs::read_to_string(node.logs().join("main/1.log")).unwrap();
    assert!(rotated.contains("stdout F signal 15") && !rotated.contains("ready"), "{rotated}");
    node.runtime.remove_container(&id).await.unwrap();
    assert!(!node.logs().join("main/1.log").exists() && node.logs().join("main/0.log").exists());
}

#[tokio::test]
async fn another_runtime_adopts_the_pods() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    let short = node.runtime.start_container("pod", &container("short", &["exit", "5"])).await.unwrap();
    node.ended("pod", &short).await;
    let config = node.config.clone();
    // A thread and tokio of its own: nothing is shared with the first but the directories.
    let adopted = std::thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(async {
            let second = Embedded::new(config).unwrap();
            let pod = second.pod("pod").await.unwrap().unwrap();
            assert!(pod.ready);
            assert!(matches!(pod.containers[0].state, ContainerState::Running { started_at } if started_at > 0));
            assert!(matches!(pod.containers[1].state, ContainerState::Exited { code: 5, .. }));
            second.start_pod(&pod.config).await.unwrap();
            let output = second.exec_sync(&id, &["/probe".into(), "id".into()], Duration::from_secs(9)).await.unwrap();
            assert_eq!(output.code, 0);
            second.stop_container(&id, 0).await.unwrap();
            second.pod("pod").await.unwrap().unwrap().containers.remove(0).state
        })
    });
    let state = tokio::task::spawn_blocking(|| adopted.join().unwrap()).await.unwrap();
    assert!(matches!(state, ContainerState::Exited { code: 137, signal: 9, .. }));
}

#[tokio::test]
async fn shares_the_pid_namespace() {
    let node = Node::new();
    let pod = PodConfig { share_pid: true, ..node.pod("pod") };
    node.runtime.start_pod(&pod).await.unwrap();
    let first = node.runtime.start_container("pod", &container("first", &["wait"])).await.unwrap();
    let second = node.runtime.start_container("pod", &container("second", &["wait"])).await.unwrap();
    assert_eq!(node.exec(&second, &["/probe", "cat", "/proc/1/comm"]).await.1, "pause\n");
    assert_eq!(node.processes(&second).await, 4);
    node.runtime.stop_container(&first, 0).await.unwrap();
    assert!(matches!(node.state("pod", &second).await, ContainerState::Running { .. }));
    node.runtime.stop_pod("pod").await.unwrap();
    assert_eq!(node.ended("pod", &second).await.0, 137);
}

#[tokio::test]
async fn a_container_sees_the_processes_of_the_one_that_it_is_for() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let target = node.runtime.start_container("pod", &container("target", &["wait"])).await.unwrap();
    let other = node.runtime.start_container("pod", &container("other", &["wait"])).await.unwrap();
    let of_target = |name: &str| ContainerConfig { pid_of: Some(target.clone()), ..container(name, &["wait"]) };
    let beside = node.runtime.start_container("pod", &of_target("beside")).await.unwrap();
    // The target's process, its own, and the one that counts.
    assert_eq!((node.processes(&beside).await, node.processes(&target).await, node.processes(&other).await), (3, 3, 2));
    // It goes alone, and goes with its target.
    node.runtime.stop_container(&beside, 0).await.unwrap();
    assert!(matches!(node.state("pod", &target).await, ContainerState::Running { .. }));
    let again = ContainerConfig { attempt: 1, ..of_target("beside") };
    let again = node.runtime.start_container("pod", &again).await.unwrap();
    node.runtime.stop_container(&target, 0).await.unwrap();
    assert_eq!(node.ended("pod", &again).await.0, 137);
    assert!(matches!(node.state("pod", &other).await, ContainerState::Running { .. }));
    let gone = ContainerConfig { attempt: 2, ..of_target("beside") };
    let error = node.runtime.start_container("pod", &gone).await.unwrap_err();
    assert!(error.to_string().contains("does not run"), "{error}");
}

#[tokio::test]
async fn privileged_and_on_the_host_network() {
    let node = Node::new();
    let pod = PodConfig { host_network: true, ..node.pod("pod") };
    assert_eq!(node.runtime.start_pod(&pod).await.unwrap().netns, None);
    let mut config = container("main", &["wait"]);
    config.security.privileged = true;
    let id = node.runtime.start_container("pod", &config).await.unwrap();
    let (_, identity) = node.exec(&id, &["/probe", "id"]).await;
    assert!(identity.contains("Seccomp: 0") && !identity.contains("CapEff: 00000000a80425fb"), "{identity}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(node.exec(&id, &["/probe", "cat", "/proc/sys/kernel/hostname"]).await.1, host);
    assert_eq!(node.exec(&id, &["/probe", "device", "1", "11"]).await.0, 0, "all devices");
}

#[tokio::test]
async fn sets_sysctls_in_its_own_namespaces() {
    let node = Node::new();
    let sysctls = [("kernel.shm_rmid_forced".to_owned(), "1".to_owned())].into();
    node.runtime.start_pod(&PodConfig { sysctls, ..node.pod("pod") }).await.unwrap();
    let paths = ["/proc/sys/kernel/shm_rmid_forced", "/proc/sys/net/ipv4/ip_unprivileged_port_start"];
    let args: Vec<&str> = ["cat"].into_iter().chain(paths).collect();
    assert_eq!(node.run("pod", container("main", &args)).await.1, ["stdout F 1", "stdout F 0"]);
    assert_eq!(std::fs::read_to_string(paths[0]).unwrap(), "0\n", "the host's is untouched");
    let bad = PodConfig { sysctls: [("no.such".to_owned(), "1".to_owned())].into(), ..node.pod("bad") };
    let error = node.runtime.start_pod(&bad).await.unwrap_err().to_string();
    assert!(error.contains("set sysctl no.such=1: No such file"), "{error}");
}

#[tokio::test]
async fn a_lost_shim_ends_its_pod() {
    let node = Node::new();
    let id = node.start("pod", container("main", &["wait"])).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(node.shim("pod")), nix::sys::signal::SIGKILL).unwrap();
    assert_eq!(node.ended("pod", &id).await, (255, "Unknown".to_owned()));
    assert!(!node.runtime.pod("pod").await.unwrap().unwrap().ready);
    // The same pod again: a new sandbox, and the old container is still known.
    node.runtime.start_pod(&PodConfig { attempt: 1, ..node.pod("pod") }).await.unwrap();
    let (code, _) = node.run("pod", ContainerConfig { attempt: 1, ..container("main", &["exit", "0"]) }).await;
    assert_eq!((code, node.runtime.pod("pod").await.unwrap().unwrap().containers.len()), (0, 2));
}

#[tokio::test]
async fn a_shim_that_ends_as_soon_as_it_serves_is_no_sandbox() {
    let node = Node::new();
    let dir = node.config.run.join("pods/p");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("short-lived"), "").unwrap();
    node.runtime.start_pod(&node.pod("p")).await.expect_err("nobody serves");
    let left = node.runtime.pod("p").await.unwrap();
    assert!(left.is_none_or(|pod| !pod.ready), "it is not ready");
    // The same attempt again: it gets a shim that lives.
    let id = node.start("p", container("again", &["exit", "0"])).await;
    assert_eq!(node.ended("p", &id).await.0, 0);
}

/// Not a promise of speed: it prints, and fails only where something waits that should not.
#[tokio::test]
async fn starts_fast_and_stays_small() {
    let node = Node::new();
    let (mut pods, mut containers) = (Vec::new(), Vec::new());
    for index in 0..10 {
        let uid = format!("pod{index}");
        let begin = Instant::now();
        node.runtime.start_pod(&node.pod(&uid)).await.unwrap();
        pods.push(begin.elapsed());
        let begin = Instant::now();
        node.runtime.start_container(&uid, &container("main", &["wait"])).await.unwrap();
        containers.push(begin.elapsed());
    }
    pods.sort();
    containers.sort();
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", node.shim("pod3"))).unwrap();
    println!("pod {:?}, container {:?}\n{rollup}", pods[5], containers[5]);
    assert!(pods[5] < Duration::from_millis(500) && containers[5] < Duration::from_millis(500));
}
