//! What a decision about a pod may look at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use runtime::{Container, ContainerState};

use super::backoff::Backoff;
use super::eviction::Eviction;
use crate::clock::Moment;
use crate::spec;

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
    /// When containers ended, by id, and when the pod began, on the agent's own clock: brought over when it was seen
    /// first. All other times here are of that clock, too.
    pub ends: BTreeMap<String, Timestamp>,
    /// The pod's `startTime`, and the same there.
    pub began: Option<(Timestamp, Timestamp)>,
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

impl Memory {
    /// Brings over the times that are new.
    pub fn note(&mut self, pod: &Pod, sandbox: Option<&runtime::Pod>, now: Moment) {
        let containers = || sandbox.iter().flat_map(|s| &s.containers);
        self.ends.retain(|id, _| containers().any(|c| c.id == *id));
        for (id, ended) in containers().filter_map(|c| Some((&c.id, exit(c)?.1))) {
            if !self.ends.contains_key(id) {
                self.ends.insert(id.clone(), now.bring_past(ended));
            }
        }
        let start = spec::status(pod).start_time.as_ref().map(|at| at.0);
        if self.began.map(|(told, _)| told) != start {
            self.began = start.map(|start| (start, now.bring_past(start)));
        }
    }

    /// When a container ended.
    pub fn ended(&self, seen: &Container) -> Option<Timestamp> {
        let (_, told) = exit(seen)?;
        Some(self.ends.get(&seen.id).copied().unwrap_or(told))
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pod::decide::{Ending, ending};
    use crate::pod::start;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("in range")
    }

    fn ended(finished: i64) -> runtime::Pod {
        let state = ContainerState::Exited {
            started_at: 0, finished_at: finished * 1_000_000_000, code: 1, signal: 0, reason: String::new(), message: String::new(),
        };
        let container = Container {
            id: "c0".into(), pod_uid: "u".into(), name: "c".into(), attempt: 0, image: "i".into(), image_id: String::new(), state,
            log_path: "/nonexistent".into(), resources: Default::default(), labels: Default::default(), user: None,
        };
        runtime::Pod { config: runtime::PodConfig::default(), ready: true, created_at: 0, netns: None, containers: vec![container] }
    }

    fn pod(start: i64) -> Pod {
        let spec = json!({"activeDeadlineSeconds": 600, "restartPolicy": "Always", "containers": [{"name": "c", "image": "i"}]});
        let mut pod = spec::tests::pod(spec);
        let start = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(start));
        pod.status.get_or_insert_default().start_time = Some(start);
        pod
    }

    /// The clock is set back by an hour after the container's end: its back-off is not an hour longer, and not shorter.
    #[test]
    fn a_restart_waits_its_time_however_the_clock_is_set() {
        for set in [-3600, 0, 3600] {
            let (pod, sandbox, mut memory) = (pod(99_990), ended(100_000), Memory::default());
            memory.containers.entry("c".into()).or_default().crashes.next(at(99_000), at(99_900));
            memory.note(&pod, Some(&sandbox), Moment { steady: at(100_001), machine: at(100_001 + set) });
            let seen = if set < 0 { 100_001 } else { 100_000 - set };
            assert_eq!(memory.ended(&sandbox.containers[0]), Some(at(seen)), "{set}");
            memory.note(&pod, Some(&sandbox), Moment { steady: at(100_005), machine: at(100_005 - 2 * set) });
            assert_eq!(memory.ended(&sandbox.containers[0]), Some(at(seen)), "it holds");
            let observed = Observed { sandbox: Some(sandbox), gone: false, memory };
            let mut plan = crate::pod::decide::Plan::default();
            start::containers(&pod, &observed, at(100_005), &mut plan);
            let waits = plan.wake_at.map(|until| until.as_second() - 100_005);
            assert!(waits.is_none_or(|seconds| (0..=10).contains(&seconds)), "{set}: {waits:?}");
            assert_eq!(waits.is_some(), set <= 0, "{set}");
        }
    }

    #[test]
    fn a_deadline_is_not_over_when_the_clock_is_set_forward() {
        let (pod, mut memory) = (pod(100_000), Memory::default());
        memory.note(&pod, None, Moment { steady: at(100_010), machine: at(100_010) });
        // An hour forward: the machine says 103,620.
        memory.note(&pod, None, Moment { steady: at(100_020), machine: at(103_620) });
        let observed = Observed { sandbox: None, gone: false, memory };
        assert_eq!(ending(&pod, &observed, at(100_020)), None);
        assert_eq!(ending(&pod, &observed, at(100_600)), Some(Ending::Deadline));
    }
}
