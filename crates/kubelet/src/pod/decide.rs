//! What to do for a pod now: a pure function of what is seen.
//!
//! A plan is small: the steps that can begin at once. Each step runs as a job; when it ends the
//! worker observes and decides again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::observed::{Job, Observed, Waiting};
use super::{end, resize, start};
use crate::spec;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the volumes, or bring them up to date.
    Mount,
    /// Make the sandbox and attach its network.
    Sandbox {
        /// Its number.
        attempt: u32,
    },
    /// Start a container.
    Start {
        /// Name.
        container: String,
        /// Number of this start.
        attempt: u32,
    },
    /// End a container.
    Stop {
        /// Runtime's id.
        id: String,
        /// Name.
        container: String,
        /// Seconds for the preStop hook and the process together.
        grace: i64,
        /// Text of the event.
        message: String,
        /// Ids of those that get their signal before it does.
        after: Vec<String>,
    },
    /// Forget ended containers, all but the newest of each name.
    Clean {
        /// Runtime's ids.
        ids: Vec<String>,
    },
    /// Change the limits of the pod and of these running containers.
    Resize {
        /// Runtime's ids.
        ids: Vec<String>,
    },
    /// End the sandbox, free addresses and volumes.
    TearDown,
    /// Delete the pod at the API.
    Delete,
}

/// What follows from an observation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To begin now.
    pub steps: Vec<Step>,
    /// When to look again, if nothing happens before.
    pub wake_at: Option<Timestamp>,
    /// Why containers wait, beyond what is remembered.
    pub waiting: BTreeMap<String, Waiting>,
    /// The pod is on its way out: nothing starts any more.
    pub ending: bool,
    /// The worker has nothing left to do, ever.
    pub finished: bool,
}

impl Plan {
    /// Looks again at that time at the latest.
    pub fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |w| w.min(at)));
    }

    /// Adds a step unless the same job is under way.
    pub fn push(&mut self, job: &Job, observed: &Observed, step: Step) {
        if !observed.memory.busy.contains_key(job) {
            self.steps.push(step);
        }
    }
}

/// Why a pod ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Someone deleted it.
    Deleted,
    /// It ran longer than `activeDeadlineSeconds`.
    Deadline,
    /// It took more of the node than it may.
    Evicted,
    /// The API says that it has ended.
    Terminal,
    /// Its containers have ended and none starts again.
    Done,
}

/// Decides.
pub fn decide(pod: &Pod, observed: &Observed, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if let Some(ending) = ending(pod, observed, now) {
        end::end(pod, observed, ending, now, &mut plan);
    } else {
        if let Some(at) = deadline(pod, observed) {
            plan.wake(at);
        }
        if !run(pod, observed, now, &mut plan) {
            plan.steps.clear();
            end::end(pod, observed, Ending::Done, now, &mut plan);
        }
    }
    clean(observed, &mut plan);
    pause(observed, now, &mut plan);
    plan
}

/// After a failure, what may fail again at once waits a little; after a panic, everything.
fn pause(observed: &Observed, now: Timestamp, plan: &mut Plan) {
    if let Some(at) = observed.memory.halt.filter(|at| now < *at) {
        plan.steps.clear();
        plan.wake(at);
    }
    if let Some(at) = observed.memory.retry.filter(|at| now < *at) {
        plan.steps.retain(|step| !matches!(step, Step::Stop { .. } | Step::Clean { .. } | Step::TearDown));
        plan.wake(at);
    }
}

/// Why the pod must end whatever its containers do.
pub fn ending(pod: &Pod, observed: &Observed, now: Timestamp) -> Option<Ending> {
    if observed.gone || pod.metadata.deletion_timestamp.is_some() {
        Some(Ending::Deleted)
    } else if spec::is_terminal(pod) {
        Some(Ending::Terminal)
    } else if observed.memory.evicted.is_some() {
        Some(Ending::Evicted)
    } else if deadline(pod, observed).is_some_and(|at| now >= at) {
        Some(Ending::Deadline)
    } else {
        None
    }
}

/// When `activeDeadlineSeconds` is over.
fn deadline(pod: &Pod, observed: &Observed) -> Option<Timestamp> {
    let seconds = spec::of(pod).active_deadline_seconds?;
    let start = spec::status(pod).start_time.as_ref()?;
    let began = observed.memory.began.filter(|(told, _)| *told == start.0).map_or(start.0, |(_, began)| began);
    Some(meta::time::after(began, seconds))
}

/// Brings the pod to life and keeps it there. False when it is done.
fn run(pod: &Pod, observed: &Observed, now: Timestamp, plan: &mut Plan) -> bool {
    let memory = &observed.memory;
    // Who has nothing to run any more needs no volumes for it either.
    if observed.running().next().is_none() && !start::wants_sandbox(pod, observed) {
        return false;
    }
    if !memory.mounted || memory.stale_volumes || memory.refresh_at.is_some_and(|at| now >= at) {
        match memory.mount_retry {
            Some(at) if now < at => plan.wake(at),
            _ => plan.push(&Job::Mount, observed, Step::Mount),
        }
        if !memory.mounted {
            return true;
        }
    } else if let Some(at) = memory.refresh_at {
        plan.wake(at);
    }
    if !observed.has_sandbox() || !memory.attached {
        match memory.sandbox_retry {
            Some(at) if now < at => plan.wake(at),
            _ => {
                let attempt = observed.sandbox.as_ref().map_or(0, |s| s.config.attempt + u32::from(!s.ready));
                plan.push(&Job::Sandbox, observed, Step::Sandbox { attempt });
            }
        }
        return true;
    }
    let alive = start::containers(pod, observed, now, plan);
    if let Some(ids) = resize::wanted(pod, observed).filter(|_| alive) {
        match memory.resize_retry {
            Some(at) if now < at => plan.wake(at),
            _ => plan.push(&Job::Resize, observed, Step::Resize { ids }),
        }
    }
    alive
}

/// Old records go: status and `logs --previous` need the newest ended container of each name.
fn clean(observed: &Observed, plan: &mut Plan) {
    let superseded = |c: &&runtime::Container| {
        super::observed::exit(c).is_some()
            && observed.containers().any(|o| o.name == c.name && o.attempt > c.attempt && super::observed::exit(o).is_some())
    };
    let ids: Vec<String> = observed.containers().filter(superseded).map(|c| c.id.clone()).collect();
    if !ids.is_empty() {
        plan.push(&Job::Clean, observed, Step::Clean { ids });
    }
}
