//! What confines the processes of a container, seen by the kernel. Needs root; everything it makes is its own and goes
//! away.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::archive::{Content, docker_archive, save, tar};
use common::{Node, container, probe, volume};
use runtime::{ContainerConfig, ContainerState, Embedded, Error, Mount, Runtime, Seccomp, User};
use serde_json::{Value, json};

/// A container under this profile of the node's own.
fn under(node: &Node, name: &str, profile: &Value, args: &[&str]) -> ContainerConfig {
    let root = node.path().join("seccomp");
    std::fs::create_dir_all(root.join("profiles")).expect("made");
    let path = Path::new("profiles").join(format!("{name}.json"));
    std::fs::write(root.join(&path), profile.to_string()).expect("written");
    let mut config = container(name, args);
    config.security.seccomp = Seccomp::Localhost { root, profile: path };
    config
}

/// What of `mkdir` says a number of error.
fn directories() -> Value {
    json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95})
}

#[tokio::test]
async fn a_profile_of_the_nodes_own_holds_every_process() {
    let node = Node::new();
    let deny = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"], "syscalls": [directories()]});
    let id = node.start("pod", under(&node, "main", &deny, &["wait"])).await;
    let (_, identity) = node.exec(&id, &["/probe", "id"]).await;
    assert!(identity.lines().any(|line| line == "Seccomp: 2"), "{identity}");
    assert_eq!(node.exec(&id, &["/probe", "mkdir", "/made"]).await, (0, "95\n".to_owned()), "exec is held by it, too");
    assert_eq!(node.exec(&id, &["/probe", "unshare"]).await.0, 0, "the default profile is not");

    let two = json!({"index": 1, "value": 0o777, "op": "SCMP_CMP_EQ"});
    let conditional = |index: u32| {
        let mut entry = directories();
        entry["names"] = json!([if index == 1 { "mkdir" } else { "mkdirat" }]);
        entry["args"] = json!([{"index": index, "value": 0o777, "op": two["op"]}]);
        entry
    };
    let by_mode = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [conditional(1), conditional(2)]});
    let id = node.start("second", under(&node, "main", &by_mode, &["wait"])).await;
    let made = async |path: &str, mode: &str| node.exec(&id, &["/probe", "mkdir", path, mode]).await.1;
    assert_eq!((made("/one", "777").await, made("/two", "755").await), ("95\n".to_owned(), "0\n".to_owned()));
}

#[tokio::test]
async fn a_profile_that_kills_kills() {
    let node = Node::new();
    let mut entry = directories();
    entry.as_object_mut().expect("an object").remove("errnoRet");
    entry["action"] = "SCMP_ACT_KILL_PROCESS".into();
    let kill = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]});
    let id = node.start("pod", under(&node, "main", &kill, &["mkdir", "/made"])).await;
    let (code, _) = node.ended("pod", &id).await;
    assert_eq!(code, 128 + libc::SIGSYS);
    // A privileged container has no filter, whatever was asked for.
    let mut config = ContainerConfig { attempt: 1, ..under(&node, "main", &kill, &["mkdir", "/made"]) };
    config.security.privileged = true;
    assert_eq!(node.run("pod", config).await, (0, vec!["stdout F 0".to_owned()]));
}

/// Without privileges to gain, the filter comes last: a profile need not allow what the runtime does before.
#[tokio::test]
async fn a_list_of_what_the_program_needs_is_enough() {
    let node = Node::new();
    let few = "execve brk mmap munmap mprotect arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom poll \
               ppoll rt_sigaction rt_sigprocmask sigaltstack sched_getaffinity madvise read write writev close \
               exit_group readlink readlinkat fstat newfstatat mkdir mkdirat fcntl futex gettid getpid tgkill ioctl";
    let allow = json!({"names": few.split_whitespace().collect::<Vec<_>>(), "action": "SCMP_ACT_ALLOW"});
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [allow]});
    let mut config = under(&node, "main", &profile, &["mkdir", "/made"]);
    config.security.no_new_privileges = true;
    config.security.user = Some("1000".into());
    // The root belongs to somebody else.
    assert_eq!(node.run("pod", config).await, (0, vec![format!("stdout F {}", libc::EACCES)]));
}

#[tokio::test]
async fn a_profile_that_cannot_be_had_is_told() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.expect("a pod");
    let root = node.path().join("seccomp");
    let allow = json!({"defaultAction": "SCMP_ACT_ALLOW"});
    let good = under(&node, "main", &allow, &["wait"]);
    std::fs::write(node.path().join("outside.json"), allow.to_string()).expect("written");
    std::os::unix::fs::symlink("../outside.json", root.join("link.json")).expect("linked");
    std::fs::write(root.join("large.json"), vec![b' '; (1 << 20) + 1]).expect("written");
    std::fs::write(root.join("strange.json"), r#"{"defaultAction": "SCMP_ACT_ALLOW", "priority": 1}"#).expect("written");
    let mut attempt = 0;
    let mut refused = async |profile: &str| {
        let mut config = ContainerConfig { attempt, ..good.clone() };
        attempt += 1;
        config.security.seccomp = Seccomp::Localhost { root: root.clone(), profile: profile.into() };
        let error = node.runtime.start_container("pod", &config).await.expect_err("refused");
        assert!(matches!(error, Error::System(_)), "CreateContainerError: {error:?}");
        error.to_string()
    };
    let cannot = |name: &str, why: &str| {
        let path = root.join(name);
        format!("cannot load seccomp profile {path:?}: open {}: {why}", path.display())
    };
    assert_eq!(refused("none.json").await, cannot("none.json", "no such file or directory"));
    assert_eq!(refused("link.json").await, cannot("link.json", "cross-device link"));
    assert_eq!(refused("../outside.json").await, cannot("../outside.json", "cross-device link"));
    assert_eq!(refused("large.json").await, cannot("large.json", "larger than 1048576 bytes"));
    let strange = refused("strange.json").await;
    let path = root.join("strange.json");
    assert!(strange.starts_with(&format!("decoding seccomp profile failed {path:?}: unknown field `priority`")), "{strange}");
    // None of them is left behind as one that runs, and the good one still starts.
    let pod = node.runtime.pod("pod").await.expect("answered").expect("there");
    assert!(pod.containers.iter().all(|c| !matches!(c.state, ContainerState::Running { .. })));
    let id = node.runtime.start_container("pod", &ContainerConfig { attempt, ..good }).await.expect("started");
    node.runtime.stop_container(&id, 0).await.expect("stopped");
    tokio::time::timeout(Duration::from_secs(20), node.ended("pod", &id)).await.expect("ended");
}

/// Groups that the image gives a user go on with those of the pod, unless the pod wants its own alone.
#[tokio::test]
async fn groups_of_the_image_are_left_out_when_they_are_not_wanted() {
    let node = Node::new();
    let program = std::fs::read(probe()).expect("read");
    let entries = [
        ("bin/probe", Content::File(&program[..])),
        ("srv/", Content::Directory),
        ("etc/passwd", Content::File(b"web:x:1000:2000::/:\n")),
        ("etc/group", Content::File(b"web:x:2000:\nlog:x:50000:web\n")),
    ];
    node.runtime.import(&save(node.path(), "a.tar", &docker_archive(&[&tar(&entries)], "users"))).await.expect("imported");
    node.runtime.start_pod(&node.pod("pod")).await.expect("a pod");
    for (attempt, strict, groups) in [(0, false, vec![2000, 4000, 50000]), (1, true, vec![2000, 4000])] {
        let mut config = ContainerConfig { attempt, image: "users".into(), ..container("main", &["wait"]) };
        config.security.supplemental_groups = vec![4000];
        config.security.strict_groups = strict;
        let id = node.runtime.start_container("pod", &config).await.expect("started");
        let wanted = groups.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        let (_, identity) = node.exec(&id, &["/bin/probe", "id"]).await;
        assert!(identity.lines().any(|line| line == format!("Groups: {wanted}")), "{wanted} in {identity}");
        // What is told is what the process has, also by a runtime that did not start it.
        let user = Some(User { uid: 1000, gid: 2000, groups });
        let told = async |runtime: &Embedded| {
            let pod = runtime.pod("pod").await.expect("answered").expect("there");
            pod.containers.into_iter().find(|c| c.id == id).expect("there").user
        };
        assert_eq!(told(&node.runtime).await, user);
        assert_eq!(told(&Embedded::new(node.config.clone()).expect("a runtime")).await, user);
    }
}

/// A mount of this machine; dropping it takes it away.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: PathBuf) -> Self {
        std::fs::create_dir_all(&at).expect("made");
        nix::mount::mount(Some("tmpfs"), &at, Some("tmpfs"), nix::mount::MsFlags::empty(), None::<&str>).expect("mounted");
        Self(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH).expect("taken away");
    }
}

#[tokio::test]
async fn read_only_reaches_down_when_it_is_to() {
    let node = Node::new();
    assert!(node.runtime.features().recursive_read_only_mounts);
    let source = node.path().join("volume");
    let _below = Mounted::tmpfs(source.join("below"));
    let mut config = container("main", &["wait"]);
    let mount = |target: &str, recursive_read_only: bool| {
        Mount { read_only: true, recursive_read_only, ..volume(&source, target) }
    };
    config.mounts = vec![mount("/top", false), mount("/all", true)];
    let id = node.start("pod", config).await;
    let (read_only, free) = (libc::EROFS.to_string(), "0".to_owned());
    for (path, number) in [
        ("/top/file", &read_only),
        ("/top/below/one", &free),
        ("/all/file", &read_only),
        ("/all/below/two", &read_only),
    ] {
        assert_eq!(node.exec(&id, &["/probe", "mkdir", path]).await, (0, format!("{number}\n")), "{path}");
    }
    // The host's own is as it was.
    std::fs::write(source.join("below/host"), "").expect("written");
}

#[tokio::test]
async fn what_a_container_writes_is_measured() {
    let node = Node::new();
    let outside = node.path().join("volume");
    std::fs::create_dir_all(&outside).expect("made");
    let mut config = container("main", &["wait"]);
    config.mounts = vec![volume(&outside, "/volume")];
    let id = node.start("pod", config).await;
    let measured = async || node.runtime.storage(&id, u64::MAX).await.expect("measured").bytes;
    let before = measured().await;
    let text = "x".repeat(24 << 10);
    for path in ["/one", "/two", "/volume/three", "/dev/shm/four"] {
        assert_eq!(node.exec(&id, &["/probe", "write", path, &text]).await.0, 0);
    }
    let grown = measured().await - before;
    assert!((48 << 10..80 << 10).contains(&grown), "its own layer, and no volume: {grown}");
}
