//! How a pod ends: containers first, then what they used, then the object.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::decide::{Ending, Plan, Step};
use super::observed::{Job, Observed};
use crate::spec;

/// The least time a process gets between its stop signal and SIGKILL, seconds.
pub const MIN_GRACE: i64 = 2;

/// What a pod gets that is evicted for what it took, seconds (upstream: `immediateEvictionGracePeriodSeconds`).
const EVICTION_GRACE: i64 = 1;

/// Steps towards the end.
pub fn end(pod: &Pod, observed: &Observed, ending: Ending, now: Timestamp, plan: &mut Plan) {
    plan.ending = true;
    let grace = match ending {
        // A forced deletion still lets the process see its signal.
        Ending::Deleted => spec::grace_seconds(pod).max(1),
        Ending::Evicted => EVICTION_GRACE,
        _ => spec::of(pod).termination_grace_period_seconds.unwrap_or(30),
    };
    stop_containers(pod, observed, grace, now, plan);
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

/// Ordinary containers all at once; sidecars after them, the last one first.
fn stop_containers(pod: &Pod, observed: &Observed, grace: i64, now: Timestamp, plan: &mut Plan) {
    let sidecars: Vec<&str> =
        spec::init_containers(pod).iter().filter(|c| spec::is_sidecar(c)).map(|c| c.name.as_str()).collect();
    let mut others = false;
    for container in observed.running().filter(|c| !sidecars.contains(&c.name.as_str())) {
        others = true;
        stop(observed, container, grace, plan);
    }
    if others {
        return;
    }
    // What the ordinary containers took is no longer there for the sidecars.
    let left = match &pod.metadata.deletion_timestamp {
        Some(at) => at.0.duration_since(now).as_secs().clamp(MIN_GRACE, grace.max(MIN_GRACE)),
        None => grace,
    };
    let last = sidecars.iter().rev().find_map(|name| observed.running().find(|c| c.name == *name));
    if let Some(container) = last {
        stop(observed, container, left, plan);
    }
}

fn stop(observed: &Observed, container: &runtime::Container, grace: i64, plan: &mut Plan) {
    // A shorter grace period than the one that runs takes its place.
    let asked = observed.memory.busy.get(&Job::Stop(container.id.clone()));
    if asked.is_none_or(|asked| grace < *asked) {
        plan.steps.push(Step::Stop {
            id: container.id.clone(),
            container: container.name.clone(),
            grace,
            message: format!("Stopping container {}", container.name),
        });
    }
}

