//! How the API hears of a pod: one write at a time, beside the worker. What changes meanwhile, the next one says.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::task::JoinError;

use super::{Worker, revision};
use crate::clock;
use crate::pod::decide::{Plan, Step};
use crate::pod::observed::Observed;
use crate::pod::outcome::RETRY;
use crate::pod::write::{Written, write, write_static};
use crate::spec;
use crate::status::{self, Input, conditions::whole_seconds, patch};

/// How a write has ended, and whether it was the last one: of the pod nothing but its records is left.
pub(super) type Told = (Written, bool);

impl Worker {
    /// Begins to write the status, unless it is known already or another write is under way: that one's end wakes the
    /// worker. When to try again after a failure, or when more is to be done at once.
    pub(super) async fn tell(&mut self, pod: &Pod, observed: &Observed, plan: &Plan, now: Timestamp) -> Option<Timestamp> {
        if !self.telling.is_empty() || observed.gone || !plan.ending && observed.replacing(&self.memory, &plan.waiting) {
            return None;
        }
        if let Some(at) = self.tell_retry.filter(|at| now < *at) {
            return Some(at);
        }
        let ips = self.agent.network.addresses(spec::uid(&self.pod));
        let resize = self.resize_conditions(pod, observed);
        let input = Input {
            observed,
            resize: &resize,
            waiting: &plan.waiting,
            messages: &self.messages.0,
            pod_ips: &ips,
            host_ips: &self.agent.config.addresses,
            recursive_read_only: self.agent.runtime.features().recursive_read_only_mounts,
            ending: plan.ending,
            now: whole_seconds(Timestamp::now()),
        };
        let (status, is_last) = (status::compute(pod, &input), observed.memory.torn_down);
        if self.link.is_static {
            // Its own record is made at once; only the mirror is the API's.
            let written = self.write(&status).await;
            return self.heard(written, is_last).or(self.tell_retry);
        }
        if patch::patch(&self.pod, &status).is_none() {
            return self.heard(Written::Same, is_last);
        }
        let (agent, pod) = (self.agent.clone(), self.pod.clone());
        self.telling.spawn(async move { (write(&agent, &pod, &status).await, is_last) });
        None
    }

    /// Takes in how the write under way has ended.
    pub(super) fn told(&mut self, told: Result<Told, JoinError>) {
        let (written, is_last) = told.unwrap_or_else(|error| {
            tracing::error!(pod = %spec::title(&self.pod), %error, "a write of the status panicked");
            (Written::Failed, false)
        });
        self.heard(written, is_last);
    }

    /// What follows from a write: now, if it was the last and more can be done.
    fn heard(&mut self, written: Written, is_last: bool) -> Option<Timestamp> {
        let now = clock::now();
        self.tell_retry = matches!(written, Written::Failed | Written::Gone).then(|| now + RETRY);
        match written {
            // News may have come meanwhile.
            Written::Now(pod) if revision(&pod) >= revision(&self.pod) => self.pod = pod,
            Written::Now(_) | Written::Same => {}
            Written::Gone | Written::Failed => return None,
        }
        let last = is_last && !self.memory.written;
        self.memory.written |= last;
        last.then_some(now)
    }

    /// A container waits until the API knows that the node has taken the pod in: an agent that comes after this one must
    /// not ask anew whether there is room for what runs.
    pub(super) fn is_held(&self, step: &Step) -> bool {
        matches!(step, Step::Start { .. }) && !self.telling.is_empty() && spec::status(&self.pod).start_time.is_none()
    }

    /// Writes a status to its end.
    pub(super) async fn write(&self, status: &PodStatus) -> Written {
        match self.link.is_static {
            true => write_static(&self.agent, &self.link, &self.pod, status).await,
            false => write(&self.agent, &self.pod, status).await,
        }
    }
}
