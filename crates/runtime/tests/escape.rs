//! Ways out of a container, tried on a real kernel: by its working directory, by links in its volumes and in its
//! image, by what its neighbours and the runtime leave open. Needs root; everything it makes is its own and goes away.

mod common;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::{Node, container, refused, shared, volume};
use runtime::{ContainerConfig, Error, PodConfig, Runtime, Seccomp};

/// A directory of the host that no container has been given.
fn secret(node: &Node) -> PathBuf {
    let dir = node.path().join("host");
    std::fs::create_dir_all(&dir).expect("made");
    std::fs::write(dir.join("secret"), "secret").expect("written");
    dir
}

/// Every way to write "the root of somebody else" that a path of the container can hold.
fn detours(node: &Node) -> Vec<String> {
    let host = secret(node);
    let host = host.display();
    let starts = ["/proc/1/root", "/proc/self/root", "/proc/thread-self/root", "/proc/self/task/1/root", "/proc/1/cwd"];
    let mut all: Vec<String> = starts.iter().map(|start| format!("{start}{host}")).collect();
    all.extend((3..8).map(|fd| format!("/proc/self/fd/{fd}{host}")));
    all.extend((3..8).map(|fd| format!("/proc/self/fd/{fd}/../../../../..{host}")));
    all.push(format!("/proc/1/fd/0/../..{host}"));
    all
}

#[tokio::test]
async fn process_one_of_a_shared_namespace_holds_nothing() {
    let node = Node::new();
    shared(&node).await;
    let mut config = container("main", &["wait"]);
    // More than any container needs to follow another process's links.
    config.security.privileged = true;
    let id = node.runtime.start_container("pod", &config).await.unwrap();
    let see = async |args: &[&str]| node.exec(&id, &[&["/probe"], args].concat()).await.1;
    assert_eq!(see(&["ls", "/proc/1/root/"]).await, "", "its root is empty");
    assert_eq!(see(&["ls", "/proc/1/cwd/"]).await, "");
    assert_eq!(see(&["ls", "/proc/1/fd"]).await, "");
    let mounts = see(&["cat", "/proc/1/mountinfo"]).await;
    assert_eq!(mounts.lines().count(), 1, "{mounts}");
    assert!(mounts.contains(" / / ro,nosuid,nodev,noexec,") && mounts.contains(" - tmpfs "), "{mounts}");
    let status = see(&["cat", "/proc/1/status"]).await;
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(value(set), "0000000000000000", "{set}");
    }
    assert_eq!([value("Uid:"), value("Gid:")], ["65535 65535 65535 65535"; 2]);
    assert_eq!([value("Groups:"), value("NoNewPrivs:"), value("Seccomp:")], ["", "1", "2"]);
    assert_eq!(see(&["cat", "/proc/1/comm"]).await, "pause\n");
    // It still does its work, and goes when the pod does.
    node.runtime.stop_pod("pod").await.unwrap();
    assert_eq!(node.ended("pod", &id).await.0, 137);
}

#[tokio::test]
async fn process_one_goes_with_its_shim() {
    let node = Node::new();
    shared(&node).await;
    let id = node.runtime.start_container("pod", &container("main", &["wait"])).await.unwrap();
    let shim = node.shim("pod");
    let children = std::fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
    let is_pause = |pid: &&str| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "pause\n");
    let pause = children.split_whitespace().find(is_pause).unwrap();
    let pause = nix::unistd::Pid::from_raw(pause.parse().unwrap());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(shim), nix::sys::signal::SIGKILL).unwrap();
    assert_eq!(node.ended("pod", &id).await.0, 255);
    let gone = async {
        while nix::sys::signal::kill(pause, None).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.unwrap();
}

#[tokio::test]
async fn a_working_directory_lies_inside() {
    let node = Node::new();
    let mut attempt = 0;
    for number in 0..3 {
        let shown = PodConfig { share_pid: number == 0, host_pid: number == 1, attempt: number, ..node.pod("pod") };
        node.runtime.start_pod(&shown).await.unwrap();
        for path in detours(&node) {
            let mut config = ContainerConfig { attempt, working_dir: path.clone(), ..container("main", &["ls", "."]) };
            config.security.user = Some("65534".into());
            config.security.drop_capabilities = vec!["ALL".into()];
            attempt += 1;
            let why = refused(&node, config).await;
            assert!(why.contains("make the working directory"), "{path}: {why}");
        }
    }
    // Links that stay inside are followed, and what is missing is made where they lead.
    let data = node.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    symlink("/srv/../srv/new", data.join("link")).unwrap();
    let mut config = ContainerConfig { attempt, working_dir: "/data/link/deep".into(), ..container("main", &["id"]) };
    config.mounts = vec![volume(&data, "/data")];
    let (_, log) = node.run("pod", config).await;
    assert!(log.contains(&"stdout F cwd /srv/new/deep".to_owned()), "{log:?}");
    assert!(!Path::new("/srv/new").exists());
}

#[tokio::test]
async fn a_link_in_a_volume_leads_no_mount_out() {
    let node = Node::new();
    shared(&node).await;
    let (data, second) = (node.path().join("data"), node.path().join("second"));
    std::fs::create_dir_all(&second).unwrap();
    let file = node.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (attempt, path) in (0..).zip(detours(&node)) {
        let _ = std::fs::remove_dir_all(&data);
        std::fs::create_dir_all(&data).unwrap();
        symlink(&path, data.join("x")).unwrap();
        // A second volume below it, a termination log through it, and a working directory.
        for (number, mounts) in [
            vec![volume(&data, "/data"), volume(&second, "/data/x/made")],
            vec![volume(&data, "/data"), volume(&file, "/data/x/log")],
            vec![volume(&data, "/data"), volume(&file, "/data/x")],
        ]
        .into_iter()
        .enumerate()
        {
            let config = ContainerConfig { mounts, attempt: attempt * 4 + number as u32, ..container("main", &["wait"]) };
            let why = refused(&node, config).await;
            assert!(why.contains("make mount point /data/x"), "{path}: {why}");
        }
        let mut config = ContainerConfig { attempt: attempt * 4 + 3, ..container("main", &["wait"]) };
        config.mounts = vec![volume(&data, "/data")];
        config.working_dir = "/data/x/work".into();
        refused(&node, config).await;
    }
    let left: Vec<_> = std::fs::read_dir(secret(&node)).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["secret"], "nothing was made on the host");
}

/// A running container changes its own directory into a link: exec must not follow it out.
#[tokio::test]
async fn exec_stays_inside() {
    let node = Node::new();
    shared(&node).await;
    let data = node.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let config = ContainerConfig { working_dir: "/data/work".into(), ..container("main", &["wait"]) };
    let config = ContainerConfig { mounts: vec![volume(&data, "/data")], ..config };
    let id = node.runtime.start_container("pod", &config).await.unwrap();
    assert_eq!(node.exec(&id, &["/probe", "ls", "."]).await, (0, String::new()));
    for path in detours(&node) {
        std::fs::rename(data.join("work"), data.join("before")).unwrap();
        symlink(&path, data.join("work")).unwrap();
        let command = ["/probe", "ls", "."].map(str::to_owned);
        let why = node.runtime.exec_sync(&id, &command, std::time::Duration::from_secs(20)).await.unwrap_err();
        assert!(why.to_string().starts_with("chdir to cwd (\"/data/work\") set in config.json failed"), "{path}: {why}");
        std::fs::remove_file(data.join("work")).unwrap();
        std::fs::rename(data.join("before"), data.join("work")).unwrap();
    }
}

/// The files that give users names are the image's: what blocks, never ends or lies elsewhere names nobody.
#[tokio::test]
async fn account_files_neither_block_nor_lead_out() {
    let node = Node::new();
    shared(&node).await;
    let data = node.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let host = secret(&node).join("secret");
    std::fs::write(&host, "web:x:7:7::/:\n").unwrap();
    let mut attempt = 0;
    let mut start = async |expected: &str| {
        let mut config = ContainerConfig { attempt, ..container("main", &["id"]) };
        config.mounts = vec![volume(&data, "/etc")];
        config.security.user = Some("web".into());
        attempt += 1;
        let why = refused(&node, config).await;
        assert!(why.contains(expected), "{why}");
    };
    let nobody = "unable to find user web: no matching entries in passwd file";
    for target in detours(&node).iter().map(|path| format!("{path}/secret")).chain(["/dev/zero".into(), "/proc/kmsg".into()]) {
        let _ = std::fs::remove_file(data.join("passwd"));
        symlink(target, data.join("passwd")).unwrap();
        start(nobody).await;
    }
    std::fs::remove_file(data.join("passwd")).unwrap();
    nix::unistd::mkfifo(&data.join("passwd"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    start(nobody).await;
    std::fs::remove_file(data.join("passwd")).unwrap();
    std::fs::File::create(data.join("passwd")).unwrap().set_len(1 << 40).unwrap();
    start("read /etc/passwd: larger than 8388608 bytes").await;
    std::fs::write(data.join("passwd"), "web:x:7:7::/:\n").unwrap();
    let mut config = ContainerConfig { attempt: 99, ..container("main", &["id"]) };
    config.mounts = vec![volume(&data, "/etc")];
    config.security.user = Some("web".into());
    let (_, log) = node.run("pod", config).await;
    assert!(log.contains(&"stdout F Uid: 7 7 7 7".to_owned()), "{log:?}");
}

/// A neighbour exchanges a directory for a link while a container starts (CVE-2021-30465).
#[tokio::test]
async fn exchanged_links_win_no_race() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let node = Node::new();
    shared(&node).await;
    let (data, second) = (node.path().join("data"), node.path().join("second"));
    std::fs::create_dir_all(data.join("real")).unwrap();
    std::fs::create_dir_all(&second).unwrap();
    symlink(format!("/proc/1/root{}", secret(&node).display()), data.join("link")).unwrap();
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let (done, dir) = (stop.clone(), data.clone());
    let swapping = std::thread::spawn(move || {
        let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
        while !done.load(Ordering::Relaxed) {
            let (one, two) = (dir.join("real"), dir.join("link"));
            nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, &one, nix::fcntl::AT_FDCWD, &two, flags).unwrap();
        }
    });
    let mut started = 0;
    for attempt in 0..30 {
        let working_dir = "/data/real/work".to_owned();
        let mut config = ContainerConfig { attempt, working_dir, ..container("main", &["exit", "0"]) };
        config.mounts = vec![volume(&data, "/data"), volume(&second, "/data/real/a/b")];
        match node.runtime.start_container("pod", &config).await {
            Ok(_) => started += 1,
            Err(Error::Start(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    println!("{started} of 30 have started");
    let left: Vec<_> = std::fs::read_dir(secret(&node)).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["secret"], "nothing was made on the host");
}

#[tokio::test]
async fn volumes_hide_neither_proc_nor_the_root() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let data = node.path().join("data");
    std::fs::create_dir_all(data.join("self/attr")).unwrap();
    symlink("/", data.join("root")).unwrap();
    symlink("/proc", data.join("proc")).unwrap();
    let cases = [
        ("/proc", "inside /proc"),
        ("/proc/", "inside /proc"),
        ("/data/proc", "inside /proc"),
        ("/data/proc/self", "inside /proc"),
        ("/proc/sys", "inside /proc"),
        ("/proc/sys/kernel", "inside /proc"),
        ("/proc/1/attr", "inside /proc"),
        ("/", "mounting into / is prohibited"),
        ("/data/root", "mounting into / is prohibited"),
        ("/data/../data/root/../", "mounting into / is prohibited"),
    ];
    for (attempt, (target, expected)) in (0..).zip(cases) {
        let mut config = ContainerConfig { attempt, ..container("main", &["wait"]) };
        config.mounts = vec![volume(&data, "/data"), volume(&data, target)];
        let why = refused(&node, config).await;
        assert!(why.contains(expected) || why.contains("No such file"), "{target}: {why}");
    }
    // What LXCFS gives, and the host's own procfs for who may have it, are let through.
    let stat = node.path().join("stat");
    std::fs::write(&stat, "made up\n").unwrap();
    let mut config = ContainerConfig { attempt: 90, ..container("main", &["cat", "/proc/stat", "/proc/keys"]) };
    config.mounts = vec![volume(&stat, "/proc/stat")];
    assert_eq!(node.run("pod", config).await, (0, vec!["stdout F made up".to_owned()]));
    let mut config = ContainerConfig { attempt: 91, ..container("main", &["cat", "/proc/1/comm"]) };
    config.mounts = vec![volume(Path::new("/proc"), "/proc")];
    assert_eq!(node.run("pod", config).await.0, 0);
}

/// What the runtime keeps is root's alone: images hold programs with the set-user-id bit, sockets give power.
#[tokio::test]
async fn state_is_for_root_alone() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let node = Node::new();
    node.start("pod", container("main", &["wait"])).await;
    for dir in [&node.config.root, &node.config.run] {
        assert_eq!(std::fs::metadata(dir).unwrap().permissions().mode() & 0o7777, 0o700, "{}", dir.display());
    }
    // A socket with a name below them, and none in the network namespace that a pod may share with the host.
    let socket = node.config.run.join("pods/pod/shim.sock");
    assert!(std::fs::metadata(socket).unwrap().file_type().is_socket());
    let inside = std::fs::read_to_string(format!("/proc/{}/net/unix", node.shim("pod"))).unwrap();
    assert!(!inside.lines().any(|line| line.contains(" @")), "{inside}");
}

/// The container's own `/dev/null` hides files and is its input; its terminal comes from its own devpts.
#[tokio::test]
async fn devices_are_what_their_names_say() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    let dev = node.path().join("dev");
    std::fs::create_dir_all(&dev).unwrap();
    let host = secret(&node).join("secret");
    for (name, target) in [("null", "/proc/sysrq-trigger"), ("console", "/proc/1/root/etc"), ("pts", "/data")] {
        symlink(target, dev.join(name)).unwrap();
    }
    let data = node.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::copy(&host, data.join("ptmx")).unwrap();
    let mounts = vec![volume(&data, "/data"), volume(&dev, "/dev")];
    // Masks and input are had before the volumes come.
    let config = ContainerConfig { mounts: mounts.clone(), ..container("main", &["cat", "/proc/keys"]) };
    assert_eq!(node.run("pod", config).await, (0, vec![]));
    let config = ContainerConfig { mounts, tty: true, attempt: 1, ..container("main", &["wait"]) };
    let why = refused(&node, config).await;
    assert!(why.contains("/dev/pts/ptmx is not the character device 5:2"), "{why}");
    // A mount of a whole host `/dev` still works, with a terminal in it.
    let mut config = ContainerConfig { tty: true, attempt: 2, ..container("main", &["exit", "0"]) };
    config.mounts = vec![volume(Path::new("/dev"), "/dev")];
    config.security.privileged = true;
    assert_eq!(node.run("pod", config).await.0, 0);
    let null = nix::sys::stat::stat("/dev/null").unwrap();
    assert_eq!(null.st_mode & 0o7777, 0o666, "the host's is as it was");
}

#[tokio::test]
async fn nothing_of_the_runtime_is_left_open() {
    let node = Node::new();
    node.runtime.start_pod(&node.pod("pod")).await.unwrap();
    // Others run beside it, with their logs, pipes and sockets.
    let first = node.runtime.start_container("pod", &container("first", &["wait"])).await.unwrap();
    let (code, log) = node.run("pod", container("main", &["descriptors"])).await;
    assert_eq!((code, log.len()), (0, 3), "{log:?}");
    assert_eq!(log[0], "stdout F /proc/self/fd/0 /dev/null", "{log:?}");
    assert!(log[1].contains("/fd/1 pipe:") && log[2].contains("/fd/2 pipe:"), "{log:?}");
    let state = node.state("pod", &first).await;
    assert!(matches!(state, runtime::ContainerState::Running { .. }), "{state:?}");
    let (_, seen) = node.exec(&first, &["/probe", "descriptors"]).await;
    assert_eq!(seen.lines().count(), 3, "{seen}");
    let mut config = ContainerConfig { tty: true, ..container("terminal", &["descriptors"]) };
    config.security.seccomp = Seccomp::Unconfined;
    let (_, log) = node.run("pod", config).await;
    assert!(log.len() == 3 && log.iter().all(|line| line.contains("/dev/pts/0")), "{log:?}");
}
