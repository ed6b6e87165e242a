//! The runtime trait and the values that cross it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Credentials, Error, Pulled, Result, Security, Size, Space};

/// What is needed to make a pod's sandbox: its namespaces and its parent cgroup.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq)]
pub struct PodConfig {
    /// Pod uid; identifies the sandbox.
    pub uid: String,
    /// Pod name.
    pub name: String,
    /// Pod namespace.
    pub namespace: String,
    /// Hostname inside.
    pub hostname: String,
    /// Number of this sandbox among those of the pod, from 0.
    pub attempt: u32,
    /// Share the host's network, pid or ipc namespace.
    pub host_network: bool,
    /// See `host_network`.
    pub host_pid: bool,
    /// See `host_network`.
    pub host_ipc: bool,
    /// All containers see one pid namespace.
    pub share_pid: bool,
    /// Users and groups of its own (`hostUsers: false`); not with any namespace of the host's.
    #[serde(default)]
    pub user_namespace: bool,
    /// Sysctls to set in the sandbox's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Limits of the whole pod.
    pub resources: Resources,
    /// Cgroup parent below the runtime's own, for example `burstable`; empty for none.
    pub cgroup_parent: String,
    /// Where container logs go: `<log_dir>/<container>/<attempt>.log`.
    pub log_dir: PathBuf,
    /// Kept and handed back.
    pub labels: BTreeMap<String, String>,
}

/// Limits of a container or pod; zero means none.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq)]
pub struct Resources {
    /// `cpu.shares` (v1 scale, 2 …).
    pub cpu_shares: u64,
    /// CPU time per period, microseconds.
    pub cpu_quota: i64,
    /// Period, microseconds.
    pub cpu_period: u64,
    /// Bytes.
    pub memory_limit: i64,
    /// `oom_score_adj`.
    pub oom_score_adj: i64,
    /// Processes.
    pub pids_limit: i64,
}

/// One mount.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq)]
pub struct Mount {
    /// Path on the host.
    pub source: PathBuf,
    /// Path in the container.
    pub target: PathBuf,
    /// Read-only.
    pub read_only: bool,
    /// Read-only with everything that is mounted below.
    #[serde(default)]
    pub recursive_read_only: bool,
    /// `private`, `rslave` (HostToContainer) or `rshared` (Bidirectional).
    pub propagation: Propagation,
    /// Its files have the ids of the pod's user namespace already ([`Runtime::mount_image`]); all others are shown so.
    #[serde(default)]
    pub in_pod_ids: bool,
}

/// Mount propagation.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum Propagation {
    #[default]
    Private,
    HostToContainer,
    Bidirectional,
}

/// One container to start.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq)]
pub struct ContainerConfig {
    /// Name in the pod.
    pub name: String,
    /// Number of this start, from 0: the restart count.
    pub attempt: u32,
    /// The running container of the pod, by its id, whose processes this one sees and is seen by; `None`: those of the
    /// pod, or its own alone.
    #[serde(default)]
    pub pid_of: Option<String>,
    /// Image id as [`Runtime::pull`] or [`Runtime::image`] returned it.
    pub image_id: String,
    /// Image as the pod names it.
    pub image: String,
    /// Replaces the image's entrypoint; empty keeps it.
    pub command: Vec<String>,
    /// Replaces the image's arguments.
    pub args: Vec<String>,
    /// Working directory; empty for the image's.
    pub working_dir: String,
    /// Environment, after the image's; later ones win.
    pub env: Vec<(String, String)>,
    /// Mounts, in the order in which they are made.
    pub mounts: Vec<Mount>,
    /// Device paths on the host.
    pub devices: Vec<PathBuf>,
    /// Limits.
    pub resources: Resources,
    /// Security.
    pub security: Security,
    /// Has a standard input that stays open.
    pub stdin: bool,
    /// Closes it after the first client.
    pub stdin_once: bool,
    /// Has a terminal.
    pub tty: bool,
    /// Signal that stops it; empty for the image's, or `SIGTERM`.
    pub stop_signal: String,
    /// Kept and handed back.
    pub labels: BTreeMap<String, String>,
}

/// Where a container is in its life.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq)]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Runs since (RFC 3339).
    Running {
        /// Nanoseconds since the epoch.
        started_at: i64,
    },
    /// Has ended.
    Exited {
        /// Nanoseconds since the epoch.
        started_at: i64,
        /// Nanoseconds since the epoch.
        finished_at: i64,
        /// Exit code; 128 + n after signal n.
        code: i32,
        /// Signal, or 0.
        signal: i32,
        /// `Completed`, `Error`, `OOMKilled`, `StartError` …
        reason: String,
        /// For people: why it could not start.
        message: String,
    },
}

/// Who the first process of a container was started as.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups, the primary one among them, in order.
    pub groups: Vec<u32>,
}

/// A container as it is.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Uid of its pod.
    pub pod_uid: String,
    /// Name in the pod.
    pub name: String,
    /// Number of this start.
    pub attempt: u32,
    /// Image as named.
    pub image: String,
    /// Image id.
    pub image_id: String,
    /// State.
    pub state: ContainerState,
    /// Log file.
    pub log_path: PathBuf,
    /// Its limits, as they were set last.
    #[serde(default)]
    pub resources: Resources,
    /// As configured.
    pub labels: BTreeMap<String, String>,
    /// Who it was started as; `None` until it is, or when nobody remembers.
    #[serde(default)]
    pub user: Option<User>,
}

/// A pod's sandbox as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// As configured.
    pub config: PodConfig,
    /// Whether its shim and namespaces are alive.
    pub ready: bool,
    /// Nanoseconds since the epoch.
    pub created_at: i64,
    /// The network namespace's path; `None` on the host's network.
    pub netns: Option<PathBuf>,
    /// Containers, oldest first.
    pub containers: Vec<Container>,
}

/// An image in the local store.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Image {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// Names with tags.
    pub tags: Vec<String>,
    /// Names with digests.
    pub digests: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
    /// Numeric user of its configuration, if numeric.
    pub uid: Option<u32>,
    /// User name of its configuration, if not numeric.
    pub username: String,
    /// It came from a file of this machine and cannot be fetched again: it goes only when somebody says so.
    pub pinned: bool,
}

/// A program to run in a running container.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct ExecConfig {
    /// Program and arguments.
    pub command: Vec<String>,
    /// With a terminal; standard error is merged then.
    pub tty: bool,
    /// With a standard input.
    pub stdin: bool,
}

/// A running exec or attach.
pub struct Streams {
    /// Standard input; dropping it closes it.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Standard output, or the terminal.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Standard error.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Terminal sizes (columns, rows).
    pub resize: tokio::sync::mpsc::Sender<(u16, u16)>,
    /// Who is attached to an input that its own end does not close goes with it, the container stays (containerd:
    /// `ContainerIO.Attach`).
    pub leaves_with_input: bool,
    /// The exit code, once.
    pub exit: tokio::sync::oneshot::Receiver<Result<i32>>,
}

/// The output of a finished exec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
}

/// What happened to a pod; the receiver looks up the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Uid of the pod.
    pub pod_uid: String,
    /// Id of the container, or empty for the sandbox.
    pub container_id: String,
}

/// Usage of one container, of one pod, or of all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time since start, nanoseconds.
    pub cpu_nanos: u64,
    /// Working set, bytes: all but what the kernel would give back first.
    pub memory_bytes: u64,
    /// Everything that is accounted for, bytes.
    pub memory_total: u64,
    /// Anonymous memory, bytes.
    pub memory_anonymous: u64,
    /// Page cache, bytes.
    pub memory_cache: u64,
    /// Page faults since start.
    pub page_faults: u64,
    /// Those that read from a disk.
    pub major_page_faults: u64,
    /// Processes and threads.
    pub processes: u64,
}

/// The names under which pods ask for this runtime (upstream: the runtime handlers of CRI): the one that is meant where
/// nobody asks, and its own. Both are the same.
pub const HANDLERS: [&str; 2] = ["", "ironclad"];

/// What not every runtime, or not every kernel, can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// [`Mount::recursive_read_only`].
    pub recursive_read_only_mounts: bool,
    /// [`PodConfig::user_namespace`].
    pub user_namespaces: bool,
    /// [`Security::app_armor`] other than none.
    pub app_armor: bool,
}

/// What every runtime does.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// What it can do here beyond the rest.
    fn features(&self) -> Features {
        Features::default()
    }
    /// Makes the sandbox of a pod, network namespace included (without any interface but `lo`).
    /// Idempotent for the same uid and attempt.
    async fn start_pod(&self, config: &PodConfig) -> Result<Pod>;
    /// Kills what is left in the pod and frees its namespaces; containers stay known. Idempotent.
    async fn stop_pod(&self, uid: &str) -> Result<()>;
    /// Forgets the pod and its containers, and removes their files and cgroups. Idempotent.
    async fn remove_pod(&self, uid: &str) -> Result<()>;
    /// All pods with their containers.
    async fn pods(&self) -> Result<Vec<Pod>>;
    /// One pod.
    async fn pod(&self, uid: &str) -> Result<Option<Pod>>;
    /// Makes and starts a container; returns its id.
    async fn start_container(&self, pod_uid: &str, config: &ContainerConfig) -> Result<String>;
    /// Stops a container: its stop signal, then after `grace_seconds` SIGKILL. Returns when it has ended.
    async fn stop_container(&self, id: &str, grace_seconds: i64) -> Result<()>;
    /// Forgets an ended container and removes its files, its log included.
    async fn remove_container(&self, id: &str) -> Result<()>;
    /// Changes the limits of a running container.
    async fn update_container(&self, id: &str, resources: &Resources) -> Result<()>;
    /// Changes the limits of a whole pod.
    async fn update_pod(&self, uid: &str, _resources: &Resources) -> Result<()> {
        Err(Error::System(format!("this runtime cannot change the limits of pod {uid}")))
    }
    /// Gives the cgroup of all pods (the empty name), or one that pods name as their parent, what it may use.
    async fn update_group(&self, name: &str, _resources: &Resources) -> Result<()> {
        Err(Error::System(format!("this runtime cannot change the limits of the group {name:?}")))
    }
    /// Starts a program in a running container.
    async fn exec(&self, id: &str, config: &ExecConfig) -> Result<Streams>;
    /// Runs a program to its end, or until the time is up ([`Error::Timeout`]).
    async fn exec_sync(&self, id: &str, command: &[String], timeout: std::time::Duration) -> Result<Output>;
    /// Connects to the standard streams of a running container.
    async fn attach(&self, id: &str) -> Result<Streams>;
    /// Closes and reopens the log file after it was renamed (rotation).
    async fn reopen_log(&self, id: &str) -> Result<()>;
    /// Changes of pods, from now on. A slow reader loses events and gets one with an empty uid: look at everything.
    fn events(&self) -> BoxStream<'static, Event>;
    /// Usage of a container.
    async fn usage(&self, id: &str) -> Result<Usage>;
    /// Usage of a whole pod.
    async fn pod_usage(&self, uid: &str) -> Result<Usage> {
        Err(Error::System(format!("this runtime cannot measure pod {uid}")))
    }
    /// Usage of all pods together.
    async fn usage_of_all(&self) -> Result<Usage> {
        Err(Error::System("this runtime cannot measure its pods".to_owned()))
    }
    /// The size of a container's own layer; more bytes than `enough` are not measured to their end.
    async fn storage(&self, id: &str, _enough: u64) -> Result<Size> {
        Err(Error::System(format!("this runtime cannot measure the storage of container {id}")))
    }
    /// Mounts an image's files read-only on a directory of the node, for a pod that has been started and with its ids.
    /// Idempotent; unmounting is the caller's.
    async fn mount_image(&self, _pod_uid: &str, image_id: &str, target: &std::path::Path) -> Result<()> {
        Err(Error::System(format!("this runtime cannot mount image {image_id} on {}", target.display())))
    }
    /// A local image by name or id.
    async fn image(&self, name: &str) -> Result<Option<Image>>;
    /// All local images.
    async fn images(&self) -> Result<Vec<Image>>;
    /// Fetches an image from its registry, once for all who ask at the same time. Who drops the call asks no more. A
    /// registry that does not answer is an [`Error::Image`] with the reason `RegistryUnavailable`.
    async fn pull(&self, name: &str, credentials: Option<&Credentials>) -> Result<Pulled>;
    /// The disk that images and the layers of containers are on.
    async fn image_disk(&self) -> Result<Space> {
        Err(Error::System("this runtime cannot measure the disk of its images".to_owned()))
    }
    /// Removes a name, or with an id the image. Files go when nothing refers to them any more.
    async fn remove_image(&self, name: &str) -> Result<()>;
}
