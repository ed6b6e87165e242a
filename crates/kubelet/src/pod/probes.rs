//! The probes of one pod's running containers.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::observed::{ContainerMemory, Memory, Observed, instant, is_running};
use crate::agent::Agent;
use crate::clock::{self, Moment};
use crate::probe::timer::Timer;
use crate::probe::{Change, Sort};
use crate::spec;
use crate::status::containers::ID_PREFIX;

/// The timers of one pod, by container id.
pub struct Probes {
    running: BTreeMap<String, Set>,
    changes: mpsc::UnboundedSender<Change>,
}

struct Set {
    tasks: Vec<(Sort, AbortHandle)>,
    started: watch::Sender<bool>,
}

impl Drop for Set {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|(_, task)| task.abort());
    }
}

impl Probes {
    /// No probes yet, and where their verdicts will come from. At most one verdict a probe period
    /// comes from each timer, and the worker drains them all at once: the queue stays short.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Change>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        (Probes { running: BTreeMap::new(), changes }, receiver)
    }

    /// Starts timers of containers that run, ends those of containers that do not.
    pub fn keep(&mut self, agent: &Arc<Agent>, pod: &Arc<Pod>, observed: &Observed, memory: &mut Memory) {
        self.running.retain(|id, _| observed.running().any(|c| c.id == *id));
        for seen in observed.running().filter(|c| is_running(c)) {
            if self.running.contains_key(&seen.id) {
                continue;
            }
            let remembered = memory.containers.entry(seen.name.clone()).or_default();
            if remembered.id != seen.id {
                remembered.id = seen.id.clone();
                adopt(pod, seen, remembered);
            }
            let set = self.start(agent, pod, seen, remembered);
            self.running.insert(seen.id.clone(), set);
        }
    }

    /// Remembers a verdict if it is about the container's present start.
    pub fn take(&mut self, change: &Change, memory: &mut Memory) {
        let Some(remembered) = memory.containers.get_mut(&change.container).filter(|m| m.id == change.id) else {
            return;
        };
        match change.sort {
            Sort::Startup => {
                remembered.started = Some(change.passed);
                if let Some(set) = self.running.get(&change.id).filter(|_| change.passed) {
                    set.started.send_replace(true);
                }
            }
            Sort::Readiness => remembered.ready = Some(change.passed),
            Sort::Liveness => remembered.live = Some(change.passed),
        }
    }

    /// Ends the probes that could kill: the pod is ending anyway. Readiness goes on being told.
    pub fn only_readiness(&mut self) {
        let tasks = self.running.values().flat_map(|set| &set.tasks);
        tasks.filter(|(sort, _)| *sort != Sort::Readiness).for_each(|(_, task)| task.abort());
    }

    /// Ends all probes.
    pub fn stop(&mut self) {
        self.running.clear();
    }

    fn start(
        &self, agent: &Arc<Agent>, pod: &Arc<Pod>, seen: &runtime::Container, remembered: &ContainerMemory,
    ) -> Set {
        let Some(container) = spec::container(pod, &seen.name) else {
            return Set { tasks: Vec::new(), started: watch::Sender::new(true) };
        };
        let started_at = match seen.state {
            runtime::ContainerState::Running { started_at } => Moment::now().bring_past(instant(started_at)),
            _ => clock::now(),
        };
        let through = container.startup_probe.is_none() || remembered.started == Some(true);
        let started = watch::Sender::new(through);
        let list = [
            (Sort::Startup, container.startup_probe.clone().filter(|_| !through), remembered.started),
            (Sort::Readiness, container.readiness_probe.clone(), remembered.ready),
            (Sort::Liveness, container.liveness_probe.clone(), remembered.live),
        ];
        let timers = list.into_iter().filter_map(|(sort, probe, verdict)| {
            Some(Timer {
                agent: agent.clone(),
                pod: pod.clone(),
                container: container.clone(),
                id: seen.id.clone(),
                started_at,
                sort,
                probe: probe?,
                started: started.subscribe(),
                changes: self.changes.clone(),
                verdict,
            })
        });
        let tasks = timers.map(|timer| (timer.sort, tokio::spawn(timer.run()).abort_handle())).collect();
        Set { tasks, started }
    }
}

/// After a restart of the agent, what the API says of a container holds until a probe says otherwise.
fn adopt(pod: &Pod, seen: &runtime::Container, remembered: &mut ContainerMemory) {
    remembered.started = None;
    remembered.ready = None;
    remembered.live = None;
    let status = spec::status(pod);
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let id = format!("{ID_PREFIX}{}", seen.id);
    let told = lists.into_iter().flatten().flatten().find(|s| s.container_id.as_ref() == Some(&id));
    if let Some(told) = told {
        remembered.started = told.started.filter(|s| *s);
        remembered.ready = Some(told.ready).filter(|r| *r);
    }
}
