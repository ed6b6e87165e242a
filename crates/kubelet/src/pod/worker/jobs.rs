//! The steps of a plan as jobs: how they begin, and what is remembered when they have ended.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::clock;
use crate::events::Kind;
use crate::image::History;
use crate::pod::decide::Step;
use crate::pod::observed::{Job, Observed};
use crate::pod::outcome::{self, RETRY};
use crate::pod::resize;
use crate::pod::stop::Turn;
use crate::pod::work::{Desk, Outcome};
use crate::spec;

impl Worker {
    pub(super) fn ended(&mut self, ended: Result<(Job, Outcome), tokio::task::JoinError>) {
        let now = clock::now();
        let (job, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Which job it was is lost with it; the next look finds what is left to do.
                tracing::error!(pod = %spec::title(&self.pod), %error, "a job panicked");
                self.memory.busy.clear();
                self.memory.starting = None;
                self.memory.halt = Some(now + RETRY);
                return;
            }
        };
        if let Outcome::Failed(error) = &outcome {
            tracing::warn!(pod = %spec::title(&self.pod), job = ?job, error, "job failed, trying again");
        }
        outcome::remember(&mut self.memory, &job, &outcome, now);
        if let Outcome::NotResized(error) = &outcome {
            let text = resize::event(&self.pod, "error", Some(error));
            self.agent.events.pod(&self.pod, Kind::Warning, "ResizeError", text);
            self.allocation.error = Some(error.clone());
        } else if matches!(outcome, Outcome::Resized) {
            self.allocation.error = None;
        }
        if let Outcome::Mounted(volumes, _) = outcome {
            self.volumes = volumes;
        }
    }

    /// Begins a step as a job.
    pub(super) fn begin(&mut self, step: Step, pod: &Arc<Pod>, observed: &Observed) {
        let desk = Desk { agent: self.agent.clone(), pod: pod.clone(), cancel: self.cancel.clone() };
        let handles = self.following.handles();
        let mut go = |job: Job, note: i64| {
            self.memory.busy.insert(job.clone(), note);
            job
        };
        match step {
            Step::Mount => {
                let job = go(Job::Mount, 0);
                self.memory.stale_volumes = false;
                self.jobs.spawn(async move { (job, desk.mount(handles.read().await).await) });
            }
            Step::Sandbox { attempt } => {
                let job = go(Job::Sandbox, 0);
                self.jobs.spawn(async move { (job, desk.sandbox(attempt).await) });
            }
            Step::Start { container, attempt } => {
                let job = go(Job::Start, 0);
                let image = spec::container(pod, &container).and_then(|c| c.image).unwrap_or_default();
                let before = observed.current(&container);
                outcome::restarting(&mut self.memory, &container, &image, before, clock::now());
                let sandbox = observed.sandbox.as_ref().map_or(0, |s| s.config.attempt);
                let volumes = self.volumes.clone();
                let history = self.memory.containers.get(&container).map(|m| History {
                    pulls: m.pulls,
                    failed_at: m.pulled_at,
                    error: m.pull_error.clone(),
                });
                let history = history.unwrap_or_default();
                self.jobs.spawn(async move {
                    let sources = handles.read().await;
                    (job, desk.start(container, attempt, sandbox, sources, volumes, history).await)
                });
            }
            Step::Stop { id, container, grace, message, after } => {
                self.memory.containers.entry(container.clone()).or_default().stopped.clone_from(&id);
                let job = go(Job::Stop(id.clone()), grace);
                let turn = Turn { after, running: self.running.subscribe() };
                self.jobs.spawn(async move { (job, desk.stop(id, container, grace, message, turn).await) });
            }
            Step::Clean { ids } => {
                let job = go(Job::Clean, 0);
                self.jobs.spawn(async move { (job, desk.clean(ids).await) });
            }
            Step::Resize { ids } => {
                let job = go(Job::Resize, 0);
                self.jobs.spawn(async move { (job, desk.resize(ids).await) });
            }
            Step::TearDown => {
                let job = go(Job::TearDown, 0);
                self.jobs.spawn(async move { (job, desk.tear_down().await) });
            }
            Step::Delete => {
                let job = go(Job::Delete, 0);
                self.jobs.spawn(async move { (job, desk.delete().await) });
            }
        }
    }
}
