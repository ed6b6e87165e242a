//! A runtime of its own for one test, and its removal.

#![allow(dead_code, reason = "each test program uses a part")]

pub mod archive;
#[path = "../kit/mod.rs"]
pub mod kit;
pub mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::{
    Config, ContainerConfig, ContainerState, Embedded, Error, Mount, PodConfig, Runtime, teardown,
};

/// A runtime in temporary directories; dropping it removes every trace.
pub struct Node {
    pub runtime: Embedded,
    pub config: Config,
    dir: tempfile::TempDir,
}

pub fn probe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_runtime-probe"))
}

impl Node {
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "node tests make namespaces and cgroups: run them as root");
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
        let config = Config {
            root: dir.path().join("root"),
            run: dir.path().join("run"),
            cgroup_root: format!("ironclad-test-{name}"),
            shim_exe: probe().to_owned(),
        };
        let runtime = Embedded::new(config.clone()).unwrap();
        runtime.store().import_program("probe", probe(), "probe", &[]).unwrap();
        Self { runtime, config, dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn logs(&self) -> PathBuf {
        self.path().join("logs")
    }

    pub fn pod(&self, uid: &str) -> PodConfig {
        PodConfig {
            uid: uid.into(),
            name: uid.into(),
            namespace: "default".into(),
            hostname: "my-host".into(),
            log_dir: self.logs(),
            ..PodConfig::default()
        }
    }

    /// Starts the pod and a container in it.
    pub async fn start(&self, uid: &str, config: ContainerConfig) -> String {
        self.runtime.start_pod(&self.pod(uid)).await.unwrap();
        self.runtime.start_container(uid, &config).await.unwrap()
    }

    pub async fn state(&self, uid: &str, id: &str) -> ContainerState {
        let pod = self.runtime.pod(uid).await.unwrap().unwrap();
        pod.containers.into_iter().find(|container| container.id == id).unwrap().state
    }

    /// Waits for the end of a container: exit code and reason.
    pub async fn ended(&self, uid: &str, id: &str) -> (i32, String) {
        use futures::StreamExt;
        let mut events = self.runtime.events();
        let wait = async {
            loop {
                if let ContainerState::Exited { code, reason, .. } = self.state(uid, id).await {
                    return (code, reason);
                }
                events.next().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the container ends")
    }

    /// Runs a container to its end: code, and the lines of its log without times.
    pub async fn run(&self, uid: &str, config: ContainerConfig) -> (i32, Vec<String>) {
        let log = self.logs().join(&config.name).join(format!("{}.log", config.attempt));
        let id = self.start(uid, config).await;
        let (code, _) = self.ended(uid, &id).await;
        let text = std::fs::read_to_string(log).unwrap();
        (code, text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect())
    }

    /// Waits until a container that waits has said so in its log.
    pub async fn ready(&self, name: &str, attempt: u32) {
        let log = self.logs().join(name).join(format!("{attempt}.log"));
        let wait = async {
            while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("ready")) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the container says that it is ready");
    }

    /// How many processes a container sees, with the one that looks.
    pub async fn processes(&self, id: &str) -> usize {
        let (_, entries) = self.exec(id, &["/probe", "ls", "/proc"]).await;
        entries.lines().filter(|name| name.parse::<u32>().is_ok()).count()
    }

    /// Process id of a pod's shim.
    pub fn shim(&self, uid: &str) -> i32 {
        let dir = self.config.run.join("pods").join(uid);
        let ours = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).ends_with(&format!("{}\0", dir.display()))
                && std::fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root == Path::new("/"))
        };
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.into_iter().find(ours).expect("the pod has a shim")
    }

    pub async fn exec(&self, id: &str, command: &[&str]) -> (i32, String) {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let output = self.runtime.exec_sync(id, &command, Duration::from_secs(20)).await.unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        (output.code, String::from_utf8(output.stdout.to_vec()).unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        teardown(&self.config).unwrap();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.path().to_str().unwrap()), "mounts are left:\n{mounts}");
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            assert!(!hierarchy.path().join(&self.config.cgroup_root).exists(), "a cgroup is left");
        }
    }
}

/// A container that runs the probe.
pub fn container(name: &str, args: &[&str]) -> ContainerConfig {
    ContainerConfig {
        name: name.into(),
        image: "probe".into(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        ..ContainerConfig::default()
    }
}

/// A volume of a container.
pub fn volume(source: &Path, target: &str) -> Mount {
    Mount { source: source.to_owned(), target: target.into(), ..Mount::default() }
}

/// Starts the pod `pod`, whose containers share one pid namespace.
pub async fn shared(node: &Node) {
    node.runtime.start_pod(&PodConfig { share_pid: true, ..node.pod("pod") }).await.expect("a pod");
}

/// Why a container of the pod `pod` does not start.
pub async fn refused(node: &Node, config: ContainerConfig) -> String {
    match node.runtime.start_container("pod", &config).await {
        Err(Error::Start(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it has started: {config:?}"),
    }
}
