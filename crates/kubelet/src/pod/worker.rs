//! One pod's worker: wakes, observes, decides, begins what the plan says, tells the API.

mod intake;
mod jobs;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::decide::{Plan, decide, ending};
use super::eviction;
use super::observed::{Job, Memory, Observed, Waiting};
use super::outcome::RETRY;
use super::probes::Probes;
use super::resize::{self, Allocation, Taken};
use super::sources::Following;
use super::work::{self, Messages, Outcome};
use crate::agent::Agent;
use crate::clock::{self, Moment};
use crate::events::Kind;
use crate::pods::Link;
use crate::probe::Change;
use crate::spec;
use crate::status::ResizeCondition;
use crate::volume::Volumes;
use tell::Told;

/// The worker of one pod.
pub struct Worker {
    agent: Arc<Agent>,
    link: Arc<Link>,
    pod: Arc<Pod>,
    memory: Memory,
    volumes: Volumes,
    following: Following,
    probes: Probes,
    changes: mpsc::UnboundedReceiver<Change>,
    messages: Messages,
    jobs: JoinSet<(Job, Outcome)>,
    cancel: CancellationToken,
    waiting: BTreeMap<String, Waiting>,
    allocation: Allocation,
    resizing: bool,
    /// The status that is on its way to the API: one at a time.
    telling: JoinSet<Told>,
    /// The API has not taken the last one; when to try again.
    tell_retry: Option<Timestamp>,
    /// Ids of the containers that run.
    running: watch::Sender<BTreeSet<String>>,
}

impl Worker {
    /// A worker that knows nothing yet but its pod.
    pub fn new(agent: Arc<Agent>, link: Arc<Link>) -> Self {
        let pod = link.pod();
        if let Some(eviction) = eviction::recorded(&agent, spec::uid(&pod)) {
            link.evict(eviction);
        }
        let wake = link.clone();
        let following = Following::start(&agent.objects, &pod, move || wake.stale());
        let (probes, changes) = Probes::new();
        // A pod that has an address may be without a link: whether it has one, the first attachment finds out.
        let memory = Memory { attached: spec::host_network(&pod), ..Memory::default() };
        Worker {
            memory, following, probes, changes, pod, agent, link,
            volumes: Volumes::new(),
            messages: Messages::default(),
            jobs: JoinSet::new(),
            cancel: CancellationToken::new(),
            waiting: BTreeMap::new(),
            allocation: Allocation::default(),
            resizing: false,
            telling: JoinSet::new(),
            tell_retry: None,
            running: watch::Sender::default(),
        }
    }

    /// Works until nothing of the pod is left.
    pub async fn run(mut self) {
        loop {
            self.take_news();
            let moment = Moment::now();
            let now = moment.steady;
            if let Some(retry) = self.refuse(now).await {
                self.wait(Some(retry)).await;
                continue;
            }
            let pod = self.allocate();
            let Some(mut observed) = self.observe().await else {
                self.wait(Some(now + RETRY)).await;
                continue;
            };
            self.memory.note(&pod, observed.sandbox.as_ref(), moment);
            observed.memory = self.memory.clone();
            self.messages.read(&self.agent, &self.pod, &observed);
            let running = observed.running().map(|c| c.id.clone()).collect();
            self.running.send_if_modified(|known| std::mem::replace(known, running) != *known);
            if ending(&pod, &observed, now).is_none() {
                self.probes.keep(&self.agent, &self.pod, &observed, &mut self.memory);
                observed.memory = self.memory.clone();
            }
            let plan = decide(&pod, &observed, now);
            if plan.finished && self.finish().await {
                return;
            }
            if plan.ending {
                self.cancel.cancel();
                self.probes.only_readiness();
            }
            self.announce(&plan);
            for step in plan.steps.iter().cloned() {
                if !self.is_held(&step) {
                    self.begin(step, &pod, &observed);
                }
            }
            let retry = self.tell(&pod, &observed, &plan, now).await;
            let wake_at = [plan.wake_at, retry, plan.finished.then(|| now + RETRY)].into_iter().flatten().min();
            self.wait(wake_at).await;
        }
    }

    /// The pod with the resources that it is granted.
    fn allocate(&mut self) -> Arc<Pod> {
        let node = self.agent.node.get(&meta::Key::new("", &self.agent.config.node_name));
        match self.allocation.take(&self.pod, &self.agent.pods.present(), node.as_deref()) {
            Taken::Same => {}
            Taken::Granted => {
                let text = resize::event(&self.pod, "started", None);
                self.agent.events.pod(&self.pod, Kind::Normal, "ResizeStarted", text);
                self.memory.resize_retry = None;
                // Others may have waited for what this pod gives back.
                self.agent.pods.room();
            }
            Taken::Refused => {
                let (reason, message, _) = self.allocation.pending.clone().unwrap_or_default();
                let event = if reason == "Infeasible" { "ResizeInfeasible" } else { "ResizeDeferred" };
                let text = resize::event(&self.pod, &reason.to_lowercase(), Some(&message));
                self.agent.events.pod(&self.pod, Kind::Warning, event, text);
            }
        }
        self.link.deferred.store(self.allocation.pending.is_some(), Ordering::Release);
        self.allocation.apply(&self.pod)
    }

    /// What the status says of a resize; its end is an event.
    fn resize_conditions(&mut self, pod: &Pod, observed: &Observed) -> Vec<ResizeCondition> {
        let mut list = Vec::new();
        if let Some((reason, message, generation)) = &self.allocation.pending {
            list.push(("PodResizePending", *reason, message.clone(), *generation));
        }
        let resizing = resize::under_way(pod, observed) && observed.memory.admitted;
        if resizing {
            let error = self.allocation.error.clone();
            let reason = if error.is_some() { "Error" } else { "" };
            list.push(("PodResizeInProgress", reason, error.unwrap_or_default(), self.allocation.generation));
        } else if self.resizing {
            let text = resize::event(pod, "completed", None);
            self.agent.events.pod(&self.pod, Kind::Normal, "ResizeCompleted", text);
        }
        self.resizing = resizing;
        list
    }

    /// The newest pod, and what changed besides.
    fn take_news(&mut self) {
        let newest = self.link.pod();
        if revision(&newest) >= revision(&self.pod) && !Arc::ptr_eq(&newest, &self.pod) {
            let relevant = |p: &Pod| (p.metadata.labels.clone(), p.metadata.annotations.clone());
            self.memory.stale_volumes |= relevant(&newest) != relevant(&self.pod);
            self.pod = newest;
        }
        if self.memory.evicted.is_none() {
            self.memory.evicted = self.link.evicted();
        }
        if self.link.stale.swap(false, Ordering::AcqRel) {
            self.memory.stale_volumes = true;
            self.memory.mount_retry = None;
            self.memory.containers.values_mut().for_each(|c| {
                let config = c.waiting.as_ref().is_some_and(|w| w.reason == "CreateContainerConfigError");
                c.retry = c.retry.filter(|_| !config);
            });
        }
        while let Ok(change) = self.changes.try_recv() {
            self.probes.take(&change, &mut self.memory);
        }
    }

    async fn observe(&self) -> Option<Observed> {
        match self.agent.runtime.pod(spec::uid(&self.pod)).await {
            Ok(sandbox) => {
                Some(Observed { sandbox, gone: self.link.gone.load(Ordering::Acquire), memory: self.memory.clone() })
            }
            Err(error) => {
                tracing::warn!(pod = %spec::title(&self.pod), %error, "the runtime does not answer");
                None
            }
        }
    }

    /// Waits for anything to happen, but no longer than that.
    async fn wait(&mut self, wake_at: Option<Timestamp>) {
        let left = wake_at.map(|at| at.duration_since(clock::now()));
        let left = left.map(|d| std::time::Duration::try_from(d).unwrap_or_default());
        let timer = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.link.notify.notified() => {}
            Some(told) = self.telling.join_next() => self.told(told),
            Some(change) = self.changes.recv() => self.probes.take(&change, &mut self.memory),
            Some(ended) = self.jobs.join_next() => self.ended(ended),
            () = timer => {}
        }
        while let Some(ended) = self.jobs.try_join_next() {
            self.ended(ended);
        }
    }

    /// Events about containers that begin to wait between restarts.
    fn announce(&mut self, plan: &Plan) {
        for (name, waiting) in &plan.waiting {
            if self.waiting.get(name) != Some(waiting) {
                let title = spec::title(&self.pod);
                let text = format!("Back-off restarting failed container {name} in pod {title}");
                self.agent.events.container(&self.pod, name, Kind::Warning, "BackOff", text);
            }
            self.memory.containers.entry(name.clone()).or_default().waiting = Some(waiting.clone());
        }
        self.waiting = plan.waiting.clone();
    }

    /// Removes what is left. Whether that worked.
    async fn finish(&mut self) -> bool {
        self.probes.stop();
        match work::forget(&self.agent, spec::uid(&self.pod)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(pod = %spec::title(&self.pod), error, "pod not cleaned up yet");
                false
            }
        }
    }
}

/// Revisions of one server can be compared.
fn revision(pod: &Pod) -> u64 {
    pod.metadata.resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}
