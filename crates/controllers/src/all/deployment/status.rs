//! The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::rollout::{Rollout, Set};
use super::{fence, revision};
use crate::frame::Step;

const PROGRESSING: &str = "Progressing";
const AVAILABLE: &str = "Available";
const FAILURE: &str = "ReplicaFailure";
const PAUSED: &str = "DeploymentPaused";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";

/// Whether all replicas are new and available, and no old one is left.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = fence::replicas(deployment);
    let all = [status.updated_replicas, status.replicas, status.available_replicas];
    all.iter().all(|n| n.unwrap_or(0) == wanted)
        && status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0)
}

/// Notes that the rollout was paused or resumed, so that the pause does not count as lack of progress.
pub fn note_pause(rollout: &mut Rollout) {
    if deadline(rollout.deployment).is_none() {
        return;
    }
    let reason = condition(&rollout.status, PROGRESSING).and_then(|c| c.reason.clone());
    let paused = rollout.deployment.spec.as_ref().and_then(|s| s.paused).unwrap_or(false);
    match (paused, reason.as_deref()) {
        (_, Some(TIMED_OUT)) | (true, Some(PAUSED)) => {}
        (true, _) => set(rollout, PROGRESSING, "Unknown", PAUSED, "Deployment is paused".to_owned()),
        (false, Some(PAUSED)) => {
            set(rollout, PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed".to_owned());
        }
        (false, _) => {}
    }
}

/// Notes that the set for the template was found, if nothing else is noted yet.
pub fn note_found(rollout: &mut Rollout, name: &str) {
    if deadline(rollout.deployment).is_some() && condition(&rollout.status, PROGRESSING).is_none() {
        set(rollout, PROGRESSING, "True", "FoundNewReplicaSet", format!("Found new replica set \"{name}\""));
    }
}

/// Notes that a set is created, or that the last attempt was refused.
pub fn note_created(rollout: &mut Rollout, name: &str) {
    if deadline(rollout.deployment).is_none() {
        return;
    }
    let refused = rollout.world.failure().filter(|f| f.verb == "create" && f.resource == "replicasets");
    match refused.map(|f| format!("Failed to create new replica set \"{name}\": {}", f.message)) {
        Some(message) => {
            set(rollout, PROGRESSING, "False", "ReplicaSetCreateError", message);
        }
        None => set(rollout, PROGRESSING, "True", "NewReplicaSetCreated", format!("Created new replica set \"{name}\"")),
    }
}

/// Plans the status write, if anything differs. `rolling`: progress counts.
pub fn write(rollout: &mut Rollout, rolling: bool) {
    count(rollout);
    note_available(rollout);
    if rolling {
        note_progress(rollout);
        note_failure(rollout);
        if let Some(at) = next_check(rollout) {
            rollout.plan.revisit_at(at);
        }
    }
    let old = rollout.deployment.status.clone().unwrap_or_default();
    let mut new = rollout.deployment.clone();
    if let Some(revision) = rollout.revision.take() {
        new.metadata.annotations.get_or_insert_default().insert(revision::REVISION.to_owned(), revision);
    }
    new.status = Some(normal(rollout.status.clone()));
    if normal(old) != normal(rollout.status.clone()) || new.metadata != rollout.deployment.metadata {
        // It speaks as if the sets were as planned: not if one of them is refused, unless it tells of that.
        let refused = rollout.new.as_ref().is_some_and(Set::is_created) && rollout.world.failure().is_some();
        let plan = if refused { &mut rollout.plan.finally } else { &mut rollout.plan.steps };
        plan.push(Step::update_status(&new));
    }
}

fn count(rollout: &mut Rollout) {
    let sum = |of: &dyn Fn(&ReplicaSetStatus) -> i32| -> i32 {
        rollout.all().filter_map(|set| set.now.status.as_ref()).map(of).sum()
    };
    let available = sum(&|s| s.available_replicas.unwrap_or(0));
    let total: i32 = rollout.all().map(Set::replicas).sum();
    let status = DeploymentStatus {
        observed_generation: rollout.deployment.metadata.generation,
        replicas: Some(sum(&|s| s.replicas)),
        updated_replicas: rollout.new.as_ref().and_then(|set| set.now.status.as_ref()).map(|s| s.replicas),
        ready_replicas: Some(sum(&|s| s.ready_replicas.unwrap_or(0))),
        available_replicas: Some(available),
        unavailable_replicas: Some((total - available).max(0)),
        terminating_replicas: terminating(rollout),
        collision_count: rollout.status.collision_count,
        conditions: rollout.status.conditions.take(),
    };
    rollout.status = status;
}

/// The sum, unless a set that was looked at does not say.
fn terminating(rollout: &Rollout) -> Option<i32> {
    let mut sum = 0;
    for status in rollout.all().filter_map(|set| set.now.status.as_ref()) {
        match (status.terminating_replicas, status.observed_generation.unwrap_or(0)) {
            (Some(count), _) => sum += count,
            (None, 0) => {}
            (None, _) => return None,
        }
    }
    Some(sum)
}

fn note_available(rollout: &mut Rollout) {
    let enough = fence::replicas(rollout.deployment) - fence::unavailable(rollout.deployment);
    if rollout.status.available_replicas.unwrap_or(0) >= enough {
        let message = "Deployment has minimum availability.".to_owned();
        set(rollout, AVAILABLE, "True", "MinimumReplicasAvailable", message);
    } else {
        let message = "Deployment does not have minimum availability.".to_owned();
        set(rollout, AVAILABLE, "False", "MinimumReplicasUnavailable", message);
    }
}

fn note_progress(rollout: &mut Rollout) {
    let Some(deadline) = deadline(rollout.deployment) else {
        return rollout.status.conditions.iter_mut().for_each(|all| all.retain(|c| c.type_ != PROGRESSING));
    };
    let old = rollout.deployment.status.clone().unwrap_or_default();
    let before = condition(&old, PROGRESSING).cloned();
    let current = condition(&rollout.status, PROGRESSING).cloned();
    let reason = |c: &Option<DeploymentCondition>| c.as_ref().and_then(|c| c.reason.clone());
    let none_old = rollout.status.replicas.unwrap_or(0) == rollout.status.updated_replicas.unwrap_or(0);
    if none_old && reason(&before).as_deref() == Some(NEW_AVAILABLE) && reason(&current).as_deref() == Some(NEW_AVAILABLE)
    {
        return;
    }
    let subject = match &rollout.new {
        Some(new) => format!("ReplicaSet \"{}\"", new.name()),
        None => format!("Deployment \"{}\"", rollout.deployment.metadata.name.as_deref().unwrap_or("")),
    };
    if is_complete(rollout.deployment, &rollout.status) {
        set(rollout, PROGRESSING, "True", NEW_AVAILABLE, format!("{subject} has successfully progressed."));
    } else if has_progressed(&old, &rollout.status) {
        let message = format!("{subject} is progressing.");
        // Progress renews the time, also if nothing else about the condition is new.
        let since = current.filter(|c| c.status == "True").and_then(|c| c.last_transition_time);
        rollout.status.conditions.iter_mut().for_each(|all| all.retain(|c| c.type_ != PROGRESSING));
        set(rollout, PROGRESSING, "True", "ReplicaSetUpdated", message);
        let conditions = rollout.status.conditions.iter_mut().flatten();
        if let (Some(since), Some(c)) = (since, conditions.into_iter().find(|c| c.type_ == PROGRESSING)) {
            c.last_transition_time = Some(since);
        }
    } else if current.is_some_and(|c| timed_out(&c, deadline, rollout.now)) {
        set(rollout, PROGRESSING, "False", TIMED_OUT, format!("{subject} has timed out progressing."));
    }
}

fn timed_out(progress: &DeploymentCondition, deadline: SignedDuration, now: Timestamp) -> bool {
    match progress.reason.as_deref() {
        Some(NEW_AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        _ => progress.last_update_time.as_ref().is_some_and(|at| meta::time::after(at.0, deadline.as_secs()) < now),
    }
}

fn has_progressed(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let n = |count: Option<i32>| count.unwrap_or(0);
    let outdated = |s: &DeploymentStatus| n(s.replicas) - n(s.updated_replicas);
    n(new.updated_replicas) > n(old.updated_replicas)
        || outdated(new) < outdated(old)
        || n(new.ready_replicas) > n(old.ready_replicas)
        || n(new.available_replicas) > n(old.available_replicas)
}

/// Carries a set's failure over, the new set's first.
fn note_failure(rollout: &mut Rollout) {
    let failures = |set: &Set| {
        let conditions = set.now.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
        conditions.into_iter().find(|c| c.type_ == FAILURE)
    };
    let failure = rollout.new.iter().chain(&rollout.old).find_map(failures);
    match failure {
        Some(failure) => {
            let condition = DeploymentCondition {
                type_: failure.type_,
                status: failure.status,
                reason: failure.reason,
                message: failure.message,
                last_update_time: failure.last_transition_time.clone(),
                last_transition_time: failure.last_transition_time,
            };
            put(&mut rollout.status, condition);
        }
        None => rollout.status.conditions.iter_mut().for_each(|all| all.retain(|c| c.type_ != FAILURE)),
    }
}

/// When the lack of progress is to be judged.
fn next_check(rollout: &Rollout) -> Option<Timestamp> {
    let deadline = deadline(rollout.deployment)?;
    let progress = condition(&rollout.status, PROGRESSING)?;
    if is_complete(rollout.deployment, &rollout.status)
        || matches!(progress.reason.as_deref(), Some(TIMED_OUT | NEW_AVAILABLE))
    {
        return None;
    }
    let at = meta::time::after(progress.last_update_time.as_ref()?.0, deadline.as_secs() + 1);
    Some(at.max(rollout.now + SignedDuration::from_secs(1)))
}

fn deadline(deployment: &Deployment) -> Option<SignedDuration> {
    let seconds = deployment.spec.as_ref()?.progress_deadline_seconds.filter(|s| *s != i32::MAX)?;
    Some(SignedDuration::from_secs(seconds.into()))
}

fn condition<'a>(status: &'a DeploymentStatus, type_: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.as_ref()?.iter().find(|c| c.type_ == type_)
}

fn set(rollout: &mut Rollout, type_: &str, value: &str, reason: &str, message: String) {
    let now = Some(Time(rollout.now));
    let condition = DeploymentCondition {
        type_: type_.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: now.clone(),
        last_transition_time: now,
    };
    put(&mut rollout.status, condition);
}

/// Adds or replaces a condition; one with the same status and reason stays as it is.
fn put(status: &mut DeploymentStatus, mut new: DeploymentCondition) {
    let all = status.conditions.get_or_insert_default();
    if let Some(at) = all.iter().position(|c| c.type_ == new.type_) {
        if all[at].status == new.status && all[at].reason == new.reason {
            return;
        }
        let old = all.remove(at);
        if old.status == new.status {
            new.last_transition_time = old.last_transition_time;
        }
    }
    all.push(new);
}

/// Zeros and empty lists left out, as upstream's encoding does.
fn normal(mut status: DeploymentStatus) -> DeploymentStatus {
    let counts = [
        &mut status.replicas,
        &mut status.updated_replicas,
        &mut status.ready_replicas,
        &mut status.available_replicas,
        &mut status.unavailable_replicas,
    ];
    counts.into_iter().for_each(|count| *count = count.filter(|n| *n != 0));
    status.conditions = status.conditions.filter(|c| !c.is_empty());
    status
}
