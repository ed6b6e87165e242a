//! Pods with users and groups of their own (`hostUsers: false`), on a real kernel. Needs root; everything it makes is its
//! own and goes away.

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use common::users::{LENGTH, attempt, line, mapped, on_node, pod, range, see, start};
use common::{Node, container, refused, volume};
use runtime::{ContainerConfig, ContainerState, Embedded, ExecConfig, Mount, PodConfig, Resources, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn root_of_a_pod_is_nobody_on_the_node() {
    let node = Node::new();
    pod(&node).await;
    let id = start(&node, &container("main", &["wait"])).await;
    let first = range(&node, &id).await;
    let identity = see(&node, &id, &["id"]).await;
    for line in ["Uid: 0 0 0 0", "Gid: 0 0 0 0", "Groups: 0", "CapEff: 00000000a80425fb", "CapInh: 0000000000000000", "Seccomp: 2"] {
        assert!(identity.lines().any(|have| have == line), "{line} in {identity}");
    }
    let all = on_node(&node, "pod");
    assert_eq!(all.len(), 1, "nothing else is left of the start");
    assert_eq!([line(&all[0], "Uid:"), line(&all[0], "Gid:")], [vec![first.to_string(); 4], vec![first.to_string(); 4]]);
    // The kernel counts what the pod makes for an owner of its own.
    let namespace = std::fs::File::open(format!("/proc/{}/ns/user", line(&all[0], "Pid:")[0])).unwrap();
    let mut owner: u32 = 0;
    // SAFETY: the request (`NS_GET_OWNER_UID`) writes one number, which outlives the call.
    assert_eq!(unsafe { libc::ioctl(namespace.as_raw_fd(), 0xb704, &raw mut owner) }, 0);
    assert_eq!(owner, first);
    // It is process 1, sees no other, and has the pod's names.
    assert_eq!(see(&node, &id, &["cat", "/proc/1/comm"]).await, "probe");
    assert_eq!(node.processes(&id).await, 2);
    assert_eq!(see(&node, &id, &["cat", "/proc/sys/kernel/hostname"]).await, "my-host");
    assert_eq!(see(&node, &id, &["ls", "/sys/class/net"]).await, "lo");
    // Nobody outside the range can be had, neither the node's nor another pod's.
    for stranger in [LENGTH, first, first + LENGTH, 1 << 30] {
        assert_eq!(see(&node, &id, &["become", &stranger.to_string()]).await, "22", "{stranger}");
        assert_eq!(see(&node, &id, &["give", "/probe", &stranger.to_string()]).await, "22", "{stranger}");
    }
    assert_eq!(see(&node, &id, &["become", "65535"]).await, "done");
    let mut other = ContainerConfig { attempt: 1, ..container("main", &["id"]) };
    other.security.user = Some(LENGTH.to_string());
    let why = refused(&node, other).await;
    assert_eq!(why, "cannot setuid to unmapped uid 65536 in user namespace");
}

/// `procMount: Unmasked`, every capability, and no filter: still nothing of the node's.
#[tokio::test]
async fn capabilities_are_the_pods_alone() {
    let node = Node::new();
    pod(&node).await;
    let mut config = container("main", &["wait"]);
    config.security.add_capabilities = vec!["ALL".into()];
    config.security.unmasked_proc = true;
    config.security.seccomp = runtime::Seccomp::Unconfined;
    let id = start(&node, &config).await;
    let kernel = ["core_pattern", "modprobe", "hotplug", "panic", "randomize_va_space"].map(|name| format!("/proc/sys/kernel/{name}"));
    for path in kernel.iter().filter(|path| Path::new(path).exists()).map(String::as_str).chain(["/proc/sys/vm/panic_on_oom"]) {
        let before = std::fs::read(path).ok();
        let (code, why) = attempt(&node, &id, &["write", path, "|/x"]).await;
        assert!(code == 99 && why.contains("ermission denied"), "{path}: {why}");
        assert_eq!(std::fs::read(path).ok(), before);
    }
    // EPERM: a device, and a mount of the node's.
    assert_eq!(see(&node, &id, &["block", "/disk"]).await, "1");
    assert_eq!(attempt(&node, &id, &["device", "1", "11"]).await.0, 99);
    assert!(matches!(attempt(&node, &id, &["cat", "/dev/kmsg"]).await.0, 99));
    // What is the pod's own it may: its network and ipc, its mounts, a procfs of its own.
    see(&node, &id, &["write", "/proc/sys/net/ipv4/ip_forward", "1"]).await;
    see(&node, &id, &["write", "/proc/sys/kernel/shm_rmid_forced", "1"]).await;
    assert_eq!(see(&node, &id, &["tmpfs", "/dev/shm"]).await, "done");
    assert_eq!(see(&node, &id, &["procfs", "/dev/shm"]).await, "done");
    let (code, why) = attempt(&node, &id, &["write", "/dev/shm/sys/kernel/core_pattern", "|/x"]).await;
    assert!(code == 99 && why.contains("ermission denied"), "{why}");
}

/// A privileged container of such a pod: what is read-only or hidden stays so, and the node's devices are not its own.
#[tokio::test]
async fn mounts_of_a_privileged_container_are_locked() {
    let node = Node::new();
    pod(&node).await;
    let data = node.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("file"), "text").unwrap();
    let mut config = container("main", &["wait"]);
    config.mounts = vec![Mount { read_only: true, ..volume(&data, "/data") }];
    config.security.privileged = true;
    let id = start(&node, &config).await;
    assert!(see(&node, &id, &["id"]).await.contains("CapEff: 000001ffffffffff"));
    let (_, why) = attempt(&node, &id, &["write", "/data/file", "changed"]).await;
    assert!(why.contains("Read-only file system"), "{why}");
    assert_eq!(see(&node, &id, &["remount", "/data"]).await, "1");
    assert_eq!(see(&node, &id, &["unmount", "/data"]).await, "22");
    assert_eq!(std::fs::read_to_string(data.join("file")).unwrap(), "text");
    // The node's disks are there by name, and belong to nobody that it could be.
    let disk = std::fs::read_dir("/dev").unwrap().flatten().find(|entry| {
        use std::os::unix::fs::FileTypeExt;
        entry.metadata().is_ok_and(|meta| meta.file_type().is_block_device() && meta.mode() & 0o006 == 0)
    });
    let disk = disk.expect("the machine has a disk").path();
    let (code, why) = attempt(&node, &id, &["cat", disk.to_str().unwrap()]).await;
    assert!(code == 99 && why.contains("ermission denied"), "{}: {why}", disk.display());
    assert_eq!(see(&node, &id, &["give", disk.to_str().unwrap(), "0"]).await, "1");
    assert_eq!(see(&node, &id, &["block", "/dev/disk-of-its-own"]).await, "1");

    // Without privileges, but with the capability: masks cannot be taken off, nor got around by a new procfs.
    let mut config = ContainerConfig { attempt: 1, ..container("main", &["wait"]) };
    config.security.add_capabilities = vec!["SYS_ADMIN".into()];
    let id = start(&node, &config).await;
    assert_eq!(see(&node, &id, &["unmount", "/proc/keys"]).await, "22");
    assert_eq!(see(&node, &id, &["remount", "/proc/sys"]).await, "1");
    assert_eq!(see(&node, &id, &["procfs", "/dev/shm"]).await, "1");
    assert_eq!(see(&node, &id, &["cat", "/proc/keys"]).await, "");
}

#[tokio::test]
async fn pods_have_ranges_of_their_own_also_after_a_restart() {
    let node = Node::new();
    let first = async |runtime: &Embedded, uid: &str| {
        runtime.start_pod(&mapped(&node, uid)).await.unwrap();
        let id = runtime.start_container(uid, &container(uid, &["wait"])).await.unwrap();
        let output = runtime.exec_sync(&id, &["/probe", "cat", "/proc/self/uid_map"].map(str::to_owned), Duration::from_secs(20)).await;
        let text = String::from_utf8(output.unwrap().stdout.to_vec()).unwrap();
        (text.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap(), id)
    };
    let (one, _) = first(&node.runtime, "one").await;
    let (two, inside_two) = first(&node.runtime, "two").await;
    assert_ne!(one, two);
    // A later sandbox has the same ids: files of the earlier containers may be left.
    node.runtime.start_pod(&PodConfig { attempt: 1, ..mapped(&node, "one") }).await.unwrap();
    let again = ContainerConfig { attempt: 1, ..container("one", &["wait"]) };
    let id = node.runtime.start_container("one", &again).await.unwrap();
    assert_eq!(range(&node, &id).await, one);
    // Another agent takes over: it knows who has which.
    let second = Embedded::new(node.config.clone()).unwrap();
    assert!(second.pod("two").await.unwrap().unwrap().ready);
    let output = second.exec_sync(&inside_two, &["/probe".into(), "id".into()], Duration::from_secs(20)).await.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("Uid: 0 0 0 0"));
    let (three, _) = first(&second, "three").await;
    assert!(three != one && three != two, "{one} {two} {three}");
    // A stopped pod keeps its ids, a removed one gives them back.
    second.stop_pod("one").await.unwrap();
    let (four, _) = first(&second, "four").await;
    assert!(![one, two, three].contains(&four));
    second.remove_pod("one").await.unwrap();
    assert_eq!(first(&second, "five").await.0, one);
    // One that could not start has none, and has left nothing.
    let sysctls = [("no.such".to_owned(), "1".to_owned())].into();
    let why = second.start_pod(&PodConfig { sysctls, ..mapped(&node, "bad") }).await.unwrap_err().to_string();
    assert!(why.contains("set sysctl no.such=1: No such file"), "{why}");
    assert!(!node.config.root.join("pods/bad").exists());
    let six = first(&second, "six").await.0;
    let third = Embedded::new(node.config.clone()).unwrap();
    assert_eq!(third.pods().await.unwrap().len(), 5);
    assert!(![one, two, three, four].contains(&six));
}

#[tokio::test]
async fn works_like_any_other_pod() {
    let node = Node::new();
    let sysctls = [("kernel.shm_rmid_forced".to_owned(), "1".to_owned())].into();
    node.runtime.start_pod(&PodConfig { sysctls, ..mapped(&node, "pod") }).await.unwrap();
    assert!(node.runtime.pod("pod").await.unwrap().unwrap().netns.unwrap().exists());
    let mut config = container("main", &["wait"]);
    config.resources = Resources { memory_limit: 64 << 20, pids_limit: 3, ..Resources::default() };
    let id = start(&node, &config).await;
    node.ready("main", 0).await;
    let paths = ["/proc/sys/kernel/shm_rmid_forced", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/ipv4/ping_group_range"];
    assert_eq!(see(&node, &id, &[&["cat"], &paths[..]].concat()).await, "1\n0\n0\t65535");
    let limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
    if Path::new(limit).exists() {
        assert_eq!(see(&node, &id, &["cat", limit]).await, (64 << 20).to_string(), "its own cgroup, and it is in it");
        node.runtime.update_container(&id, &Resources { memory_limit: 96 << 20, ..config.resources.clone() }).await.unwrap();
        assert_eq!(see(&node, &id, &["cat", limit]).await, (96 << 20).to_string());
    }
    // Streams and terminals, of a user who is not root.
    let run = ExecConfig { command: vec!["/probe".into(), "cat".into()], stdin: true, tty: false };
    let mut streams = node.runtime.exec(&id, &run).await.unwrap();
    let mut stdin = streams.stdin.take().unwrap();
    stdin.write_all(b"one\n").await.unwrap();
    drop(stdin);
    let mut text = String::new();
    streams.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!((text.as_str(), streams.exit.await.unwrap().unwrap()), ("got one\n", 0));
    let run = ExecConfig { command: vec!["/probe".into(), "size".into()], stdin: true, tty: true };
    let mut streams = node.runtime.exec(&id, &run).await.unwrap();
    streams.resize.send((101, 42)).await.unwrap();
    let mut text = String::new();
    streams.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!((text.as_str(), streams.exit.await.unwrap().unwrap()), ("101 42\r\n", 0));

    let mut config = ContainerConfig { tty: true, stdin: true, ..container("terminal", &["owner", "/dev/console", "/dev/pts/0"]) };
    config.security.user = Some("1000".into());
    let log = node.logs().join("terminal/0.log");
    let terminal = start(&node, &config).await;
    assert_eq!(node.ended("pod", &terminal).await.0, 0);
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.matches("stdout F 1000:5 620").count() == 2, "{text}");
    let mut config = container("writer", &["write", "/dev/stdout", "mine\n"]);
    config.security.user = Some("1000".into());
    config.security.read_only_root = true;
    let writer = start(&node, &config).await;
    assert_eq!(node.ended("pod", &writer).await.0, 0);
    assert!(std::fs::read_to_string(node.logs().join("writer/0.log")).unwrap().contains("stdout F mine"));

    // Nothing of the runtime's is open; what cannot start says why; what stops does.
    assert_eq!(see(&node, &id, &["descriptors"]).await.lines().count(), 3);
    let why = refused(&node, ContainerConfig { command: vec!["nothing".into()], ..container("none", &[]) }).await;
    assert_eq!(why, "exec: \"nothing\": executable file not found in $PATH");
    node.runtime.stop_container(&id, 20).await.unwrap();
    assert_eq!(node.ended("pod", &id).await, (7, "Error".to_owned()));
    let mut hungry = container("hungry", &["eat", "200"]);
    hungry.resources.memory_limit = 64 << 20;
    let hungry = start(&node, &hungry).await;
    assert_eq!(node.ended("pod", &hungry).await, (137, "OOMKilled".to_owned()));
}

#[tokio::test]
async fn shares_a_pid_namespace() {
    let node = Node::new();
    node.runtime.start_pod(&PodConfig { share_pid: true, ..mapped(&node, "pod") }).await.unwrap();
    let one = start(&node, &container("one", &["wait"])).await;
    let mut config = container("two", &["wait"]);
    config.security.privileged = true;
    let two = start(&node, &config).await;
    assert_eq!(node.processes(&two).await, 4);
    assert_eq!(see(&node, &two, &["cat", "/proc/1/comm"]).await, "pause");
    let status = see(&node, &two, &["cat", "/proc/1/status"]).await;
    assert_eq!(line(&status, "Uid:"), ["65535"; 4]);
    assert_eq!(line(&status, "CapPrm:"), ["0000000000000000"]);
    // Not even who may trace everybody in the pod may look: its memory belongs to the node's user namespace.
    for path in ["/proc/1/root/", "/proc/1/cwd/", "/proc/1/fd"] {
        let (code, why) = attempt(&node, &two, &["ls", path]).await;
        assert!(code == 99 && why.contains("ermission denied"), "{path}: {why}");
    }
    let first = range(&node, &one).await;
    let owners: Vec<_> = on_node(&node, "pod").iter().map(|status| line(status, "Uid:").remove(0)).collect();
    let mut expected = vec![(first + 65535).to_string(), first.to_string(), first.to_string()];
    expected.sort();
    assert_eq!({ let mut owners = owners; owners.sort(); owners }, expected);
    node.runtime.stop_container(&one, 0).await.unwrap();
    assert!(matches!(node.state("pod", &two).await, ContainerState::Running { .. }));
    node.runtime.stop_pod("pod").await.unwrap();
    assert_eq!(node.ended("pod", &two).await.0, 137);
}
