//! Conditions of the node, and what is said when they change (upstream: `nodestatus/setters.go`). Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NodeCondition, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Conditions of pressure: type, then reason and message where it is true, and where it is not (upstream:
/// `nodestatus/setters.go`).
const PRESSURES: [[&str; 5]; 3] = [
    ["MemoryPressure", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
        "KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    ["DiskPressure", "KubeletHasDiskPressure", "kubelet has disk pressure",
        "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    ["PIDPressure", "KubeletHasInsufficientPID", "kubelet has insufficient PID available",
        "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
];

/// All that this agent keeps, the pressures first; times of transition are taken over from the old status.
pub fn conditions(old: Option<&NodeStatus>, pressures: &[&str], not_ready: Option<&str>, now: Timestamp) -> Vec<NodeCondition> {
    let pressure = |[type_, reason, message, well, all_well]: [&'static str; 5]| match pressures.contains(&type_) {
        true => (type_, "True", reason, message),
        false => (type_, "False", well, all_well),
    };
    let ready = match not_ready {
        None => ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        Some(why) => ("Ready", "False", "KubeletNotReady", why),
    };
    let list = PRESSURES.map(pressure).into_iter().chain([ready]);
    let before = |type_: &str| old.and_then(|o| o.conditions.as_ref()?.iter().find(|c| c.type_ == type_));
    let one = |(type_, status, reason, message): (&str, &str, &str, &str)| {
        let since = before(type_).filter(|c| c.status == status).and_then(|c| c.last_transition_time.clone());
        NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: since.or(Some(Time(now))),
        }
    };
    list.map(one).collect()
}

/// Reasons of the events for conditions whose status is not what it was.
pub fn changes(old: Option<&NodeStatus>, new: Option<&NodeStatus>) -> Vec<&'static str> {
    const REASONS: [[&str; 3]; 4] = [
        ["MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"],
        ["DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"],
        ["PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"],
        ["Ready", "NodeReady", "NodeNotReady"],
    ];
    let of = |status: Option<&NodeStatus>, type_: &str| {
        let mut all = status.into_iter().flat_map(|s| s.conditions.iter().flatten());
        all.find(|c| c.type_ == type_).map(|c| c.status == "True")
    };
    let change = |[type_, holds, not]: [&'static str; 3]| {
        let now = of(new, type_)?;
        (of(old, type_) != Some(now)).then_some(if now { holds } else { not })
    };
    REASONS.into_iter().filter_map(change).collect()
}
