//! The pod's status as the API shows it, computed from what is seen. Pure.

pub mod conditions;
pub mod containers;
pub mod patch;
pub mod phase;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pod::decide::{Ending, ending};
use crate::pod::observed::{Observed, Waiting};
use crate::spec;

/// A resize that is not there yet: type of the condition, reason, message, and the generation that asked.
pub type ResizeCondition = (&'static str, &'static str, String, Option<i64>);

/// What a status is computed from, beside the pod.
pub struct Input<'a> {
    /// What is seen.
    pub observed: &'a Observed,
    /// Why containers wait.
    pub waiting: &'a BTreeMap<String, Waiting>,
    /// Termination messages by container id.
    pub messages: &'a BTreeMap<String, String>,
    /// Addresses of the pod.
    pub pod_ips: &'a [IpAddr],
    /// Addresses of the node.
    pub host_ips: &'a [IpAddr],
    /// Conditions of a resize: type, reason, message, generation.
    pub resize: &'a [ResizeCondition],
    /// The runtime has recursive read-only mounts.
    pub recursive_read_only: bool,
    /// Nothing starts any more.
    pub ending: bool,
    /// Now, in whole seconds.
    pub now: Timestamp,
}

/// Computes the whole status; conditions of others are carried over.
pub fn compute(pod: &Pod, input: &Input) -> PodStatus {
    let old = spec::status(pod);
    if spec::is_terminal(pod) && input.observed.containers().next().is_none() {
        // Refused, or ended so long ago that nothing is left: what was told stays.
        return old.clone();
    }
    let mut status = PodStatus {
        observed_generation: pod.metadata.generation,
        qos_class: old.qos_class.clone().or_else(|| Some(::pod::qos::class(spec::of(pod)).to_owned())),
        start_time: old.start_time.clone().or(Some(Time(input.now))),
        container_statuses: Some(containers::ordinary(pod, input)),
        init_container_statuses: containers::init(pod, input),
        ephemeral_container_statuses: containers::ephemeral(pod, input),
        ..PodStatus::default()
    };
    addresses(pod, input, &mut status);
    let over = input.ending && input.observed.running().next().is_none();
    let mut phase = phase::phase(pod, &status, over);
    if spec::is_terminal(pod) {
        phase = old.phase.clone().unwrap_or_default();
    } else if is_terminal(&phase) && !(over || can_no_longer_run(input)) {
        phase = old.phase.clone().unwrap_or_else(|| "Pending".to_owned());
    }
    if old.phase.as_deref() == Some(phase.as_str()) {
        status.reason = old.reason.clone();
        status.message = old.message.clone();
    }
    if let Some((reason, message)) = cut_short(pod, input).filter(|_| over) {
        phase = "Failed".to_owned();
        status.reason = Some(reason);
        status.message = Some(message);
    }
    if over && input.observed.memory.torn_down {
        containers::close(&mut status);
        if !is_terminal(&phase) {
            phase = "Failed".to_owned();
        }
    }
    status.phase = Some(phase);
    status.conditions = Some(conditions::conditions(pod, &status, input));
    status
}

/// Why the node ends a pod that would have gone on.
fn cut_short(pod: &Pod, input: &Input) -> Option<(String, String)> {
    match ending(pod, input.observed, input.now)? {
        Ending::Deadline => {
            let message = "Pod was active on the node longer than the specified deadline";
            Some(("DeadlineExceeded".to_owned(), message.to_owned()))
        }
        Ending::Evicted => input.observed.memory.evicted.as_ref().map(|e| (e.reason.clone(), e.message.clone())),
        _ => None,
    }
}

/// The status of a pod that the node does not take.
pub fn refused(pod: &Pod, reason: String, message: String, now: Timestamp) -> PodStatus {
    PodStatus {
        phase: Some("Failed".to_owned()),
        reason: Some(reason),
        message: Some(message),
        start_time: Some(Time(now)),
        observed_generation: pod.metadata.generation,
        qos_class: Some(::pod::qos::class(spec::of(pod)).to_owned()),
        ..spec::status(pod).clone()
    }
}

/// A terminal phase is only told when nothing of the pod runs any more.
fn can_no_longer_run(input: &Input) -> bool {
    input.observed.running().next().is_none()
}

fn is_terminal(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

fn addresses(pod: &Pod, input: &Input, status: &mut PodStatus) {
    let old = spec::status(pod);
    status.host_ip = input.host_ips.first().map(ToString::to_string);
    status.host_ips = Some(input.host_ips.iter().map(|ip| HostIP { ip: ip.to_string() }).collect());
    let ips = if spec::host_network(pod) { input.host_ips } else { input.pod_ips };
    if ips.is_empty() {
        // An ended pod keeps showing the addresses it had.
        status.pod_ip = old.pod_ip.clone();
        status.pod_ips = old.pod_ips.clone();
    } else {
        status.pod_ip = ips.first().map(ToString::to_string);
        status.pod_ips = Some(ips.iter().map(|ip| PodIP { ip: ip.to_string() }).collect());
    }
}
