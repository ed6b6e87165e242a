//! How a pod ends: containers first, then what they used, then the object.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::decide::{Ending, Plan, Step};
use super::observed::{Job, Observed};
use crate::spec;

/// The least time a process gets between its stop signal and SIGKILL, seconds.
pub const MIN_GRACE: i64 = 2;

/// Steps towards the end.
pub fn end(pod: &Pod, observed: &Observed, ending: Ending, now: Timestamp, plan: &mut Plan) {
    plan.ending = true;
    let own = || spec::of(pod).termination_grace_period_seconds.unwrap_or(30);
    let grace = match ending {
        // A forced deletion still lets the process see its signal.
        Ending::Deleted => spec::grace_seconds(pod).max(1),
        Ending::Evicted => observed.memory.evicted.as_ref().and_then(|e| e.grace).unwrap_or_else(own),
        _ => own(),
    };
    stop_containers(pod, observed, grace, plan);
    let memory = &observed.memory;
    if observed.running().next().is_some() || memory.busy.contains_key(&Job::Start) {
        return;
    }
    if let Some(at) = memory.retry.filter(|at| now < *at) {
        plan.wake(at);
        return;
    }
    if !memory.torn_down {
        let others = memory.busy.keys().any(|job| *job != Job::Clean);
        if !others {
            plan.push(&Job::TearDown, observed, Step::TearDown);
        }
        return;
    }
    if observed.gone {
        plan.finished = memory.busy.is_empty();
    } else if pod.metadata.deletion_timestamp.is_some() && memory.written {
        match memory.delete_retry {
            Some(at) if now < at => plan.wake(at),
            _ => plan.push(&Job::Delete, observed, Step::Delete),
        }
    }
}

/// All at once: each runs its preStop hook. The signal is for the ordinary ones first, then for one sidecar after the
/// other, the last one first; what somebody waits is taken from its own time (upstream: `terminationOrdering`).
fn stop_containers(pod: &Pod, observed: &Observed, grace: i64, plan: &mut Plan) {
    let sidecars: Vec<&str> =
        spec::init_containers(pod).iter().filter(|c| spec::is_sidecar(c)).map(|c| c.name.as_str()).collect();
    // Ordinary containers come before the last sidecar.
    let turn = |c: &runtime::Container| sidecars.iter().rev().position(|name| *name == c.name).map_or(0, |at| at + 1);
    for container in observed.running() {
        let before = observed.running().filter(|other| turn(other) < turn(container));
        let after = before.map(|other| other.id.clone()).collect();
        stop(observed, container, grace, after, plan);
    }
}

fn stop(observed: &Observed, container: &runtime::Container, grace: i64, after: Vec<String>, plan: &mut Plan) {
    // A shorter grace period than the one that runs takes its place.
    let asked = observed.memory.busy.get(&Job::Stop(container.id.clone()));
    if asked.is_none_or(|asked| grace < *asked) {
        plan.steps.push(Step::Stop {
            id: container.id.clone(),
            container: container.name.clone(),
            grace,
            message: format!("Stopping container {}", container.name),
            after,
        });
    }
}

