//! Conditions of a pod that the kubelet owns, with upstream's reasons and messages.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Input;
use crate::spec;

/// The types that this kubelet writes.
pub const OWNED: [&str; 5] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// That the pod is ended for somebody else's sake; also others say so.
pub const DISRUPTION: &str = "DisruptionTarget";

/// Those of a resize; they are there only while it is.
pub const RESIZE: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

/// The time without fractions of a second, as the API prints it.
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[derive(Clone, Default)]
struct Verdict {
    holds: bool,
    reason: &'static str,
    message: String,
}

const TRUE: Verdict = Verdict { holds: true, reason: "", message: String::new() };

fn not(reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict { holds: false, reason, message: message.into() }
}

/// Others' conditions as they are, then the kubelet's.
pub fn conditions(pod: &Pod, status: &PodStatus, input: &Input) -> Vec<PodCondition> {
    let old = spec::status(pod).conditions.as_deref().unwrap_or_default();
    let mut list: Vec<PodCondition> = old.iter().filter(|c| !OWNED.contains(&c.type_.as_str()) && !RESIZE.contains(&c.type_.as_str())).cloned().collect();
    // What was told of a pod that an earlier agent left holds until the network has been looked at.
    let memory = &input.observed.memory;
    let told = || memory.sandbox_retry.is_none() && old.iter().any(|c| c.type_ == OWNED[0] && c.status == "True");
    let sandbox = input.observed.has_sandbox() && (memory.attached || told());
    let containers_ready = containers_ready(pod, status);
    let ready = if containers_ready.holds { gates(pod, &list) } else { containers_ready.clone() };
    let verdicts = [
        Verdict { holds: sandbox, ..Verdict::default() },
        initialized(pod, status),
        ready,
        containers_ready,
        TRUE,
    ];
    for (type_, verdict) in OWNED.into_iter().zip(verdicts) {
        list.push(condition(pod, type_, verdict, old.iter().find(|c| c.type_ == type_), input.now));
    }
    for (type_, reason, message, generation) in input.resize {
        let verdict = Verdict { holds: true, reason, message: message.clone() };
        let told = condition(pod, type_, verdict, old.iter().find(|c| c.type_ == *type_), input.now);
        list.push(PodCondition { observed_generation: *generation, ..told });
    }
    if let Some(message) = memory.evicted.as_ref().and_then(|eviction| eviction.disruption.clone()) {
        list.retain(|c| c.type_ != DISRUPTION);
        let verdict = Verdict { holds: true, reason: "TerminationByKubelet", message };
        list.push(condition(pod, DISRUPTION, verdict, old.iter().find(|c| c.type_ == DISRUPTION), input.now));
    }
    list
}

fn condition(pod: &Pod, type_: &str, verdict: Verdict, old: Option<&PodCondition>, now: Timestamp) -> PodCondition {
    let status = if verdict.holds { "True" } else { "False" };
    let since = old.filter(|o| o.status == status).and_then(|o| o.last_transition_time.clone());
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(verdict.reason.to_owned()).filter(|r| !r.is_empty()),
        message: Some(verdict.message).filter(|m| !m.is_empty()),
        last_transition_time: since.or(Some(Time(now))),
        last_probe_time: None,
        observed_generation: pod.metadata.generation,
    }
}

/// `[a b]`, as Go prints a list.
fn names(list: &[&str]) -> String {
    format!("[{}]", list.join(" "))
}

/// "unknown" and "unready" parts of a message, joined.
fn message(unknown: &[&str], word: &str, unready: &[&str]) -> String {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("containers with unknown status: {}", names(unknown)));
    }
    if !unready.is_empty() {
        parts.push(format!("containers with {word} status: {}", names(unready)));
    }
    parts.join(", ")
}

fn find<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerStatus> {
    let lists = [&status.init_container_statuses, &status.container_statuses];
    lists.into_iter().flatten().flatten().find(|s| s.name == name)
}

fn containers_ready(pod: &Pod, status: &PodStatus) -> Verdict {
    let sidecars = spec::init_containers(pod).iter().filter(|c| spec::is_sidecar(c));
    let list: Vec<&Container> = sidecars.chain(&spec::of(pod).containers).collect();
    let (unknown, unready) = split(&list, status, |_, s| s.ready);
    match status.phase.as_deref() {
        Some("Succeeded") if unknown.is_empty() => return not("PodCompleted", ""),
        Some("Failed") => return not("PodFailed", ""),
        _ => {}
    }
    let text = message(&unknown, "unready", &unready);
    if text.is_empty() { TRUE } else { not("ContainersNotReady", text) }
}

fn split<'a>(
    list: &[&'a Container], status: &PodStatus, good: impl Fn(&Container, &ContainerStatus) -> bool,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut unknown, mut bad) = (Vec::new(), Vec::new());
    for container in list {
        match find(status, &container.name) {
            None => unknown.push(container.name.as_str()),
            Some(s) if !good(container, s) => bad.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    (unknown, bad)
}

fn initialized(pod: &Pod, status: &PodStatus) -> Verdict {
    let list: Vec<&Container> = spec::init_containers(pod).iter().collect();
    let good = |c: &Container, s: &ContainerStatus| if spec::is_sidecar(c) { s.started == Some(true) } else { s.ready };
    let (unknown, incomplete) = split(&list, status, good);
    if status.phase.as_deref() == Some("Succeeded") && unknown.is_empty() {
        return Verdict { reason: "PodCompleted", ..TRUE };
    }
    let begun = |s: &ContainerStatus| {
        let state = s.state.clone().unwrap_or_default();
        state.running.is_some() || s.last_state.as_ref().is_some_and(|l| l.terminated.is_some())
            || state.terminated.is_some_and(|t| t.container_id.is_some())
    };
    if status.container_statuses.iter().flatten().any(begun) {
        return TRUE;
    }
    let text = message(&unknown, "incomplete", &incomplete);
    if text.is_empty() { TRUE } else { not("ContainersNotInitialized", text) }
}

/// Readiness gates: conditions of others that must hold too.
fn gates(pod: &Pod, others: &[PodCondition]) -> Verdict {
    let mut messages = Vec::new();
    for gate in spec::of(pod).readiness_gates.as_deref().unwrap_or_default() {
        let type_ = &gate.condition_type;
        match others.iter().find(|c| c.type_ == *type_) {
            None => messages.push(format!("corresponding condition of pod readiness gate {type_:?} does not exist.")),
            Some(c) if c.status != "True" => {
                messages.push(format!("the status of pod readiness gate {type_:?} is not \"True\", but {}", c.status));
            }
            Some(_) => {}
        }
    }
    if messages.is_empty() { TRUE } else { not("ReadinessGatesNotReady", messages.join(", ")) }
}
