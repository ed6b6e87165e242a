//! What a decision about a pod may look at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runtime::{Container, ContainerState};

use super::backoff::Backoff;
use super::eviction::Eviction;

/// Label of a container: number of the sandbox it was started in.
pub const SANDBOX_LABEL: &str = "ironclad/sandbox";

/// A snapshot of one pod on this node.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Sandbox and containers, as the runtime knows them.
    pub sandbox: Option<runtime::Pod>,
    /// The API no longer has the pod.
    pub gone: bool,
    /// What the worker remembers.
    pub memory: Memory,
}

/// What a worker remembers of its pod; lost, and not missed, when the agent restarts.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The node takes the pod.
    pub admitted: bool,
    /// Volumes are made.
    pub mounted: bool,
    /// A volume's content is out of date.
    pub stale_volumes: bool,
    /// When a volume's content ends its use (a token that expires).
    pub refresh_at: Option<Timestamp>,
    /// Failures to make volumes or sandbox, in a row.
    pub failures: u32,
    /// Volumes could not be made; when to try again.
    pub mount_retry: Option<Timestamp>,
    /// The sandbox could not be made; when to try again.
    pub sandbox_retry: Option<Timestamp>,
    /// The network is attached.
    pub attached: bool,
    /// Per container.
    pub containers: BTreeMap<String, ContainerMemory>,
    /// Jobs under way.
    pub busy: BTreeMap<Job, i64>,
    /// The container that is being started.
    pub starting: Option<String>,
    /// Everything of the pod but its records is gone from the node.
    pub torn_down: bool,
    /// The final status has reached the API.
    pub written: bool,
    /// Deletion at the API was asked for, or is to be tried again then.
    pub delete_retry: Option<Timestamp>,
    /// Limits could not be changed; when to try again.
    pub resize_retry: Option<Timestamp>,
    /// Why the node ends the pod for good.
    pub evicted: Option<Eviction>,
    /// A job failed; when to try again.
    pub retry: Option<Timestamp>,
    /// A job panicked: nothing begins before that.
    pub halt: Option<Timestamp>,
}

/// What a worker remembers of one container.
#[derive(Clone, Debug, Default)]
pub struct ContainerMemory {
    /// Why it does not run.
    pub waiting: Option<Waiting>,
    /// No start before that.
    pub retry: Option<Timestamp>,
    /// Delay between restarts.
    pub crashes: Backoff,
    /// Delay between pulls.
    pub pulls: Backoff,
    /// When the last pull failed.
    pub pulled_at: Option<Timestamp>,
    /// The last pull's error.
    pub pull_error: String,
    /// Id of the start that the node itself has ended.
    pub stopped: String,
    /// Id that the results below belong to.
    pub id: String,
    /// The startup probe's result, or that there is none to wait for.
    pub started: Option<bool>,
    /// The readiness probe's result.
    pub ready: Option<bool>,
    /// The liveness probe's result.
    pub live: Option<bool>,
}

/// Why a container waits: reason and message of its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// A piece of work that runs beside the worker; at most one of each at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Making or refreshing volumes.
    Mount,
    /// Making the sandbox.
    Sandbox,
    /// Starting a container.
    Start,
    /// Ending the container with this id; the value is its grace period.
    Stop(String),
    /// Changing limits.
    Resize,
    /// Removing records.
    Clean,
    /// Taking everything down.
    TearDown,
    /// Deleting at the API.
    Delete,
}

impl Observed {
    /// The newest container of that name.
    pub fn latest(&self, name: &str) -> Option<&Container> {
        self.containers().filter(|c| c.name == name).max_by_key(|c| c.attempt)
    }

    /// The newest container of that name that has begun to run: while one is being made, the one
    /// before it is what there is.
    pub fn begun(&self, name: &str) -> Option<&Container> {
        let begun = |c: &&Container| c.name == name && c.state != ContainerState::Created;
        self.containers().filter(begun).max_by_key(|c| c.attempt)
    }

    /// The newest container of that name if it was started in the present sandbox.
    pub fn current(&self, name: &str) -> Option<&Container> {
        let attempt = self.sandbox.as_ref()?.config.attempt.to_string();
        self.latest(name).filter(|c| c.labels.get(SANDBOX_LABEL).is_none_or(|a| *a == attempt))
    }

    /// All containers, oldest first.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.sandbox.iter().flat_map(|s| &s.containers)
    }

    /// The containers that run.
    pub fn running(&self) -> impl Iterator<Item = &Container> {
        self.containers().filter(|c| is_running(c))
    }

    /// Whether the sandbox is there and alive.
    pub fn has_sandbox(&self) -> bool {
        self.sandbox.as_ref().is_some_and(|s| s.ready)
    }

    /// What is remembered of a container.
    pub fn container(&self, name: &str) -> Option<&ContainerMemory> {
        self.memory.containers.get(name)
    }

    /// Whether a container that the node has ended is being started again, as the worker remembers now. To others both
    /// are one step: upstream's `SyncPod` ends and starts, and the status tells of what came of it.
    pub fn replacing(&self, memory: &Memory, waiting: &BTreeMap<String, Waiting>) -> bool {
        let busy = |job: &Job| memory.busy.contains_key(job);
        memory.containers.iter().filter(|(name, _)| !waiting.contains_key(*name)).any(|(name, remembered)| {
            let ended = self.begun(name).filter(|c| c.id == remembered.stopped && exit(c).is_some());
            ended.is_some_and(|c| busy(&Job::Start) || busy(&Job::Stop(c.id.clone())))
        })
    }

    /// Results of probes of that container, if they are of its present start.
    pub fn results(&self, container: &Container) -> Option<&ContainerMemory> {
        self.container(&container.name).filter(|m| m.id == container.id)
    }
}

/// Whether a container runs.
pub fn is_running(container: &Container) -> bool {
    matches!(container.state, ContainerState::Running { .. })
}

/// Exit code and end of a container that has ended.
pub fn exit(container: &Container) -> Option<(i32, Timestamp)> {
    match &container.state {
        ContainerState::Exited { code, finished_at, .. } => Some((*code, instant(*finished_at))),
        _ => None,
    }
}

/// A runtime's nanoseconds as a time.
pub fn instant(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH)
}
