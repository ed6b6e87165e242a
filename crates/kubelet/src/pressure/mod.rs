//! Before the node has nothing left, pods go (upstream: the eviction manager).
//!
//! Place in the straight line: looks at the machine every ten seconds; what follows is decided by [`watch`] and
//! [`rank`], which are pure.

pub mod rank;
pub mod thresholds;
pub mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use runtime::Space;

use crate::agent::Agent;
use crate::events::Kind;
use crate::image::gc;
use crate::pod::eviction::{AT_ONCE, Eviction, evict};
use crate::pod::observed::is_running;
use crate::storage::limits::{Limits, Usage, named};
use crate::storage::measure;
use crate::usage::machine::{self, Machine};
use crate::spec;
use rank::{Candidate, Share, Taken, message, rank};
use thresholds::{Signal, Threshold, Wording};
use watch::{Left, Seen, Watch};

/// Between two looks (upstream: `evictionMonitoringPeriod`).
const INTERVAL: Duration = Duration::from_secs(10);
/// So long the next pod waits for the end of the one before (upstream: `podCleanupTimeout`).
const CLEANUP: Duration = Duration::from_secs(30);

/// When pods go.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What is kept free.
    pub thresholds: Vec<Threshold>,
    /// How long a condition stays after its cause has gone (`--eviction-pressure-transition-period`).
    pub transition: Duration,
    /// The longest that a pod gets where a soft threshold is met, seconds (`--eviction-max-pod-grace-period`).
    pub max_pod_grace: i64,
}

impl Default for Policy {
    fn default() -> Self {
        let wording = Wording { hard: thresholds::HARD, soft: "", soft_grace: "", reclaim: "" };
        let thresholds = thresholds::parse(&wording).unwrap_or_default();
        Policy { thresholds, transition: Duration::from_secs(5 * 60), max_pod_grace: 0 }
    }
}

/// What the node runs short of.
#[derive(Default)]
pub struct Pressure(Mutex<Vec<&'static str>>);

impl Pressure {
    /// The conditions that are true, by type.
    pub fn types(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether that is news.
    fn set(&self, types: Vec<&'static str>) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *held != types;
        *held = types;
        changed
    }
}

/// Looks after the node for ever.
pub async fn run(agent: Arc<Agent>) {
    let policy = &agent.config.pressure;
    if policy.thresholds.is_empty() {
        std::future::pending::<()>().await;
    }
    let mut watch = Watch::new(policy.thresholds.clone(), policy.transition);
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        // One pod at a time, as long as it takes.
        while let Some(pod) = look(&agent, &mut watch).await {
            if tokio::time::timeout(CLEANUP, agent.pods.ended(spec::uid(&pod))).await.is_err() {
                tracing::warn!(pod = %spec::title(&pod), "an evicted pod has not ended yet");
            }
        }
    }
}

/// One look, and the pod that goes for it.
pub async fn look(agent: &Agent, watch: &mut Watch) -> Option<Arc<Pod>> {
    let (seen, shared) = observe(agent).await?;
    let (types, due) = watch.look(&seen, Instant::now());
    if agent.pressure.set(types) {
        agent.news.notify_one();
    }
    let first = due.first()?;
    let resource = first.signal.resource();
    agent.events.node(&agent.config.node_name, Kind::Warning, "EvictionThresholdMet", format!("Attempting to reclaim {resource}"));
    let images = match first.signal {
        Signal::ImageDisk | Signal::ImageInodes => true,
        Signal::NodeDisk | Signal::NodeInodes => shared,
        _ => false,
    };
    if images {
        gc::remove_unused(agent).await;
        let (seen, _) = observe(agent).await?;
        if watch.is_resolved(&seen) {
            return None;
        }
    }
    let mut pods = candidates(agent, first.signal, shared).await;
    rank(first.signal, &mut pods);
    let Some((pod, taken)) = pods.into_iter().find(|(pod, _)| !spec::is_critical(pod)) else {
        tracing::warn!(resource, "the node is short of it, and there is no pod that could go");
        return None;
    };
    let grace = match first.is_hard() {
        true => AT_ONCE,
        false => agent.config.pressure.max_pod_grace.min(spec::of(&pod).termination_grace_period_seconds.unwrap_or(30)),
    };
    let (message, notes) = message(&pod, taken.as_ref(), first, &due, &seen);
    let eviction = Eviction { reason: "Evicted".to_owned(), disruption: Some(message.clone()), message, grace: Some(grace) };
    evict(agent, &pod, eviction, notes);
    Some(pod)
}

/// What is left of everything, and whether images and pods share a disk.
async fn observe(agent: &Agent) -> Option<(Seen, bool)> {
    let found = async {
        let (machine, node) = (machine::read()?, Space::of(&agent.config.data_dir)?);
        Ok::<_, std::io::Error>((machine, node))
    };
    let (machine, node) = match found.await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "what the node has left cannot be read");
            return None;
        }
    };
    let image = agent.runtime.image_disk().await.ok();
    let pods = agent.runtime.usage_of_all().await.ok().map(|usage| usage.memory_bytes);
    let shared = image.is_none_or(|image| image.device == node.device);
    Some((seen(&machine, &node, image.as_ref(), pods), shared))
}

fn seen(machine: &Machine, node: &Space, image: Option<&Space>, pods: Option<u64>) -> Seen {
    let left = |available: u64, capacity: u64| {
        let narrow = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        Left { available: narrow(available), capacity: narrow(capacity) }
    };
    let mut seen: Seen = [
        (Signal::Memory, left(machine.memory_available, machine.memory)),
        (Signal::NodeDisk, left(node.available, node.capacity)),
        (Signal::Processes, left(machine.most_processes.saturating_sub(machine.processes), machine.most_processes)),
    ]
    .into();
    // All pods together may have the machine's memory.
    seen.extend(pods.map(|used| (Signal::PodMemory, left(machine.memory.saturating_sub(used), machine.memory))));
    seen.extend(image.map(|image| (Signal::ImageDisk, left(image.available, image.capacity))));
    // A file system that makes files as they are needed says that it has none.
    let files = |signal: Signal, space: &Space| (space.files > 0).then(|| (signal, left(space.files_free, space.files)));
    seen.extend(files(Signal::NodeInodes, node));
    seen.extend(image.and_then(|image| files(Signal::ImageInodes, image)));
    seen
}

/// The pods that could go, and what each takes of what is short.
async fn candidates(agent: &Agent, signal: Signal, shared: bool) -> Vec<Candidate> {
    let mut list = Vec::new();
    for pod in agent.pods.active() {
        let taken = taken(agent, &pod, signal, shared).await;
        list.push((pod, taken));
    }
    list
}

async fn taken(agent: &Agent, pod: &Pod, signal: Signal, shared: bool) -> Option<Taken> {
    let usage = agent.runtime.pod_usage(spec::uid(pod)).await.ok()?;
    let mut taken = Taken { memory: usage.memory_bytes, processes: usage.processes, ..Taken::default() };
    let seen = agent.runtime.pod(spec::uid(pod)).await.ok()??;
    for container in seen.containers.iter().filter(|c| is_running(c)) {
        let memory = agent.runtime.usage(&container.id).await.map_or(0, |usage| usage.memory_bytes);
        taken.containers.push(Share { name: container.name.clone(), memory, disk: None });
    }
    if matches!(signal.condition(), "DiskPressure") {
        // Everything is measured: the pod that goes must be the one that helps.
        let usage = measure::usage(agent, pod, &Limits::none()).await.ok()?;
        let size = on(signal, &usage, shared);
        (taken.disk, taken.inodes) = (size.bytes, size.files);
        for share in &mut taken.containers {
            share.disk = Some(named(&usage.layers, &share.name).plus(named(&usage.logs, &share.name)).bytes);
        }
    }
    Some(taken)
}

/// The part of what a pod takes that lies on the disk which is short.
fn on(signal: Signal, usage: &Usage, shared: bool) -> runtime::Size {
    let layers = usage.layers.iter().fold(runtime::Size::default(), |sum, (_, size)| sum.plus(*size));
    let all = usage.total();
    let rest = runtime::Size {
        bytes: all.bytes.saturating_sub(layers.bytes),
        files: all.files.saturating_sub(layers.files),
    };
    match signal {
        _ if shared => all,
        Signal::ImageDisk | Signal::ImageInodes => layers,
        _ => rest,
    }
}
