//! The status of a ReplicaSet.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::frame::{Failure, Plan, Step};
use crate::{pods, selectors};

const FAILURE: &str = "ReplicaFailure";

/// Plans the status write, if it differs, and the next look at pods that become available by time alone.
pub fn update(
    set: &ReplicaSet,
    active: &[&Pod],
    terminating: usize,
    failure: Option<&Failure>,
    now: Timestamp,
    plan: &mut Plan,
) {
    let Some(spec) = &set.spec else { return };
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let due = active.iter().filter_map(|pod| pods::available_at(pod, min_ready)).filter(|at| *at > now).min();
    if let Some(at) = due {
        plan.revisit_at(at);
    }
    let old = set.status.clone().unwrap_or_default();
    let template = spec.template.as_ref().and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.clone());
    let labelled = template.unwrap_or_default();
    let count = |wanted: &dyn Fn(&Pod) -> bool| number(active.iter().filter(|pod| wanted(pod)).count());
    let new = ReplicaSetStatus {
        replicas: number(active.len()),
        fully_labeled_replicas: positive(count(&|pod| selectors::has_all(&labelled, &pod.metadata))),
        ready_replicas: positive(count(&pods::is_ready)),
        available_replicas: positive(count(&|pod| pods::is_available(pod, min_ready, now))),
        terminating_replicas: Some(number(terminating)),
        observed_generation: set.metadata.generation,
        conditions: conditions(&old, active.len(), spec.replicas.unwrap_or(1), failure, now),
    };
    let normal = ReplicaSetStatus {
        fully_labeled_replicas: old.fully_labeled_replicas.and_then(positive),
        ready_replicas: old.ready_replicas.and_then(positive),
        available_replicas: old.available_replicas.and_then(positive),
        ..old
    };
    if normal != new {
        plan.finally.push(Step::update_status(&ReplicaSet { status: Some(new), ..set.clone() }));
    }
}

/// The conditions, with the failure of the last attempt to create or delete pods set, or taken back.
fn conditions(
    old: &ReplicaSetStatus,
    active: usize,
    wanted: i32,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let mut conditions = old.conditions.clone().unwrap_or_default();
    let failure = failure.filter(|f| f.resource == "pods");
    let known = conditions.iter().any(|c| c.type_ == FAILURE);
    match failure {
        Some(failure) if !known => {
            let reason = match number(active).cmp(&wanted) {
                std::cmp::Ordering::Less => Some("FailedCreate".to_owned()),
                std::cmp::Ordering::Greater => Some("FailedDelete".to_owned()),
                std::cmp::Ordering::Equal => None,
            };
            conditions.push(ReplicaSetCondition {
                type_: FAILURE.to_owned(),
                status: "True".to_owned(),
                reason,
                message: Some(failure.message.clone()),
                last_transition_time: Some(Time(now)),
            });
        }
        None => conditions.retain(|c| c.type_ != FAILURE),
        Some(_) => {}
    }
    Some(conditions).filter(|c| !c.is_empty())
}

fn number(count: usize) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

/// Zero is left out, as upstream's encoding does.
fn positive(count: i32) -> Option<i32> {
    Some(count).filter(|c| *c != 0)
}
