//! What the runtime and a shim say to each other, and the files that they share.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::users::IdRange;
use crate::{Mount, User};

/// Which pid namespace a container gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PidNamespace {
    /// Its own.
    #[default]
    Own,
    /// The one of its pod.
    Pod,
    /// The host's.
    Host,
}

/// How to make a sandbox: `sandbox.json` in the shim's directory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sandbox {
    /// Name in the uts namespace.
    pub hostname: String,
    /// No network namespace of its own.
    pub host_network: bool,
    /// No ipc namespace of its own.
    pub host_ipc: bool,
    /// Pid namespace of the containers.
    pub pid: PidNamespace,
    /// Kernel parameters, in order.
    pub sysctls: Vec<(String, String)>,
    /// Where to mount the network namespace.
    pub netns: PathBuf,
    /// `cgroup.procs` files that the shim itself joins.
    pub cgroup: Vec<PathBuf>,
    /// Directories of containers.
    pub containers: PathBuf,
    /// The machine's cgroups.
    pub hierarchies: crate::cgroup::Hierarchies,
    /// Ids of its user namespace, if it has one.
    #[serde(default)]
    pub users: Option<IdRange>,
    /// Version of the program that was started with it.
    #[serde(default)]
    pub version: u32,
}

/// A container, ready to start: `spec.json` in the container's directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Container id.
    pub id: String,
    /// The container's directory, with `upper`, `work` and `rootfs`.
    pub dir: PathBuf,
    /// Directory of unpacked layers.
    pub layers_dir: PathBuf,
    /// Names of the layers in it, topmost first.
    pub layers: Vec<String>,
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// `user[:group]`, names or numbers; empty for root.
    pub user: String,
    /// Primary group, before the user's.
    pub group: Option<u32>,
    /// Additional groups.
    pub supplemental_groups: Vec<u32>,
    /// Leave out the image's groups.
    #[serde(default)]
    pub strict_groups: bool,
    /// Capabilities as bits.
    pub capabilities: u64,
    /// All devices, writable `/sys`, nothing masked.
    pub privileged: bool,
    /// Read-only root file system.
    pub read_only_root: bool,
    /// `no_new_privs`.
    pub no_new_privileges: bool,
    /// Leave `/proc` as it is.
    pub unmasked_proc: bool,
    /// AppArmor profile; it is loaded.
    #[serde(default)]
    pub app_armor: Option<String>,
    /// Compiled filter.
    pub seccomp: Option<PathBuf>,
    /// In order.
    pub mounts: Vec<Mount>,
    /// Device nodes of the host.
    pub devices: Vec<PathBuf>,
    /// The pod's `/dev/shm`.
    pub shm: PathBuf,
    /// With a terminal.
    pub tty: bool,
    /// `oom_score_adj`.
    pub oom_score_adj: i64,
    /// `cgroup.procs` files to join.
    pub cgroup: Vec<PathBuf>,
    /// What to show in `/sys/fs/cgroup`.
    pub hierarchies: crate::cgroup::Hierarchies,
    /// Ids of its pod's user namespace, if it has one.
    #[serde(default)]
    pub users: Option<IdRange>,
    /// The earliest version of the pod's process that does all of it; an earlier one refuses it.
    #[serde(default)]
    pub version: u32,
}

/// How a shim's answer begins to what it could not read.
pub(crate) const UNREAD: &str = "read the request";

/// A request to a shim.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start the container whose directory holds its spec.
    Start(Start),
    /// Run a program; with descriptors stdin, stdout, stderr unless it has a terminal.
    /// The connection stays open until it ends; closing it kills the program.
    Exec {
        /// Container.
        id: String,
        /// Program and arguments.
        command: Vec<String>,
        /// With a terminal.
        tty: bool,
    },
    /// Copy output from now on to the descriptors stdout, stderr.
    Attach {
        /// Container.
        id: String,
    },
    /// Close the shim's end of the standard input.
    CloseStdin {
        /// Container.
        id: String,
    },
    /// Send a signal to the first process, or with SIGKILL to all.
    Signal {
        /// Container.
        id: String,
        /// Number.
        signal: i32,
    },
    /// Reopen the log file.
    ReopenLog {
        /// Container.
        id: String,
    },
    /// Which containers run?
    State,
    /// Tell about exits on this connection.
    Watch,
    /// Kill everything, clean up, exit.
    Stop,
    /// The request is too long for a message: it is in the file that the last descriptor leads to. Who does not know this
    /// refuses it.
    Longer,
}

/// See [`Request::Start`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Container.
    pub id: String,
    /// With a terminal.
    pub tty: bool,
    /// With a standard input.
    pub stdin: bool,
    /// Log file.
    pub log: PathBuf,
    /// Its cgroup, relative to a hierarchy.
    pub group: PathBuf,
    /// The running container whose pid namespace it gets.
    #[serde(default)]
    pub pid_of: Option<String>,
}

/// The answer of a shim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Done.
    Done,
    /// A program runs. With a descriptor: its terminal or standard input.
    Running {
        /// Its process id.
        pid: i32,
        /// Nanoseconds since the epoch.
        started_at: i64,
    },
    /// The program of an exec has ended.
    Exited {
        /// Exit code.
        code: i32,
    },
    /// These containers run.
    State(Vec<String>),
    /// This container has ended; its record is on the disk.
    Ended(String),
    /// Refused or failed.
    Failed(Failure),
}

/// What a child of the shim says before it becomes the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Who it is.
    User(User),
    /// It could not.
    Failed(Failure),
}

/// Why something could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration cannot work in this image.
    #[error("{0}")]
    Config(String),
    /// It could not be started.
    #[error("{0}")]
    Start(String),
    /// The pod is on its way out.
    #[error("{0}")]
    NoSandbox(String),
    /// No such container runs.
    #[error("{0}")]
    NotFound(String),
}

impl Failure {
    /// A system call failed.
    pub(crate) fn system(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Start(format!("{what}: {error}"))
    }
}
