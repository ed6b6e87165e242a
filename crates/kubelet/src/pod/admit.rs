//! Pods that this node cannot run at all: told once, before anything is made for them
//! (upstream: the kubelet's admit handlers, in their order). Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use runtime::Features;

use ::pod::nodes::{NOT_SELECTED, selects, tolerates, untolerated};
use ::pod::ports::on_host;
use ::pod::qos;

use super::shortage::{beside, shortages};
use super::{preempt, unsupported};
use crate::spec;

/// Sysctls that belong to a namespace and hurt nobody else (upstream: `sysctl/safe_sysctls.go`).
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// Why a pod is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// One with this reason.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Refusal { reason: reason.into(), message: message.into() }
    }

    fn predicate(name: &str, why: &str) -> Self {
        Refusal::new(name, format!("Predicate {name} failed: {why}"))
    }
}

/// What there is for a pod.
#[derive(Clone, Copy, Default)]
pub struct Room<'a> {
    /// The pods that the node has taken.
    pub others: &'a [Arc<Pod>],
    /// The node, if it is known.
    pub node: Option<&'a Node>,
    /// What its runtime can do.
    pub features: Features,
    /// Its conditions of pressure that are true, by type.
    pub pressures: &'a [&'static str],
}

/// Whether the node takes the pod. The pods that have to go for it come with a yes: it is a critical one, and without
/// them there is no room.
pub fn admit(pod: &Pod, room: &Room) -> Result<Vec<Arc<Pod>>, Refusal> {
    let first = under_pressure(pod, room.pressures).or_else(|| forbidden_sysctl(pod)).or_else(|| wrong_machine(pod));
    if let Some(refusal) = first {
        return Err(refusal);
    }
    let short = room.node.map(|node| shortages(pod, room.others, node)).unwrap_or_default();
    let unfit = unfit(pod, room);
    let victims = match (unfit, short.as_slice()) {
        (None, []) => Vec::new(),
        // Where room could be made, what else is wrong counts alone.
        (Some(refusal), []) => return Err(refusal),
        (Some(refusal), _) if spec::is_critical(pod) => return Err(refusal),
        (None, short) if spec::is_critical(pod) => preempt::victims(pod, room.others, short)?,
        (_, [first, ..]) => return Err(first.refusal()),
    };
    match unsupported::pod(pod, room.features) {
        Some(refusal) => Err(refusal),
        None => Ok(victims),
    }
}

/// A node under pressure takes critical pods alone; where memory is all that it lacks, those that ask for some and
/// those that tolerate it, too (upstream: the eviction manager's `Admit`).
fn under_pressure(pod: &Pod, pressures: &[&'static str]) -> Option<Refusal> {
    if pressures.is_empty() || spec::is_critical(pod) {
        return None;
    }
    let taint = Taint { key: "node.kubernetes.io/memory-pressure".into(), effect: "NoSchedule".into(), ..Taint::default() };
    let tolerated = || spec::of(pod).tolerations.iter().flatten().any(|t| tolerates(t, &taint));
    if pressures == ["MemoryPressure"] && (qos::class(spec::of(pod)) != "BestEffort" || tolerated()) {
        return None;
    }
    Some(Refusal::new("Evicted", format!("The node had condition: [{}]. ", pressures.join(" "))))
}

/// What no other pod's end would mend (upstream: `AdmissionCheck` and `generalFilter`).
fn unfit(pod: &Pod, room: &Room) -> Option<Refusal> {
    let node = room.node;
    let elsewhere = || node.is_some_and(|node| !selects(spec::of(pod), node));
    let taints = node.and_then(|n| n.spec.as_ref()?.taints.as_deref()).unwrap_or_default();
    let tolerations = spec::of(pod).tolerations.as_deref().unwrap_or_default();
    if elsewhere() {
        Some(Refusal::predicate("NodeAffinity", NOT_SELECTED))
    } else if has_taken_port(pod, room.others) {
        Some(Refusal::predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports"))
    } else if untolerated(taints, tolerations, &["NoExecute"]).is_some() {
        Some(Refusal::predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate"))
    } else {
        None
    }
}

fn forbidden_sysctl(pod: &Pod) -> Option<Refusal> {
    let context = spec::of(pod).security_context.as_ref()?;
    let is_safe = |name: &str| SAFE_SYSCTLS.contains(&name.replace('/', ".").as_str());
    let bad = context.sysctls.iter().flatten().find(|s| !is_safe(&s.name))?;
    Some(Refusal::new("SysctlForbidden", format!("forbidden sysctl: {:?} not allowlisted", bad.name)))
}

/// Pods for other operating systems (upstream: `lifecycle/predicate.go`).
fn wrong_machine(pod: &Pod) -> Option<Refusal> {
    let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get("kubernetes.io/os"));
    if label.is_some_and(|os| os != "linux") {
        let why = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
        return Some(Refusal::new("PodOSSelectorNodeLabelDoesNotMatch", why));
    }
    let other = spec::of(pod).os.as_ref().is_some_and(|os| os.name != "linux");
    other.then(|| Refusal::new("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"))
}

/// A pod that was not scheduled may want a host port that another has.
fn has_taken_port(pod: &Pod, others: &[Arc<Pod>]) -> bool {
    let wanted = on_host(spec::of(pod));
    let taken = |p: &Pod| on_host(spec::of(p)).iter().any(|b| wanted.iter().any(|a| a.collides(b)));
    !wanted.is_empty() && beside(pod, others).any(|p| taken(p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(pods: &str, taints: Value) -> Node {
        let has = json!({"cpu": "2", "pods": pods, "ephemeral-storage": "1Gi", "example.com/gpu": "1"});
        serde_json::from_value(json!({"metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"taints": taints},
            "status": {"allocatable": has}}))
        .expect("node")
    }

    fn pod(uid: &str, spec: Value) -> Pod {
        let mut pod = spec::tests::pod(spec);
        pod.metadata.uid = Some(uid.to_owned());
        pod
    }

    fn asks(resource: &str, amount: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {resource: amount}}}]})
    }

    fn reason(verdict: Result<Vec<Arc<Pod>>, Refusal>) -> String {
        verdict.map_or_else(|refusal| refusal.reason, |_| String::new())
    }

    #[test]
    fn what_the_node_is_not_or_has_not() {
        let node = node("1", json!([]));
        let get = |spec| reason(admit(&pod("u1", spec), &Room { node: Some(&node), ..Room::default() }));
        assert_eq!(get(asks("cpu", "2")), "");
        assert_eq!(get(asks("cpu", "2100m")), "OutOfcpu");
        assert_eq!(get(asks("ephemeral-storage", "2Gi")), "OutOfephemeral-storage");
        assert_eq!(get(asks("example.com/gpu", "2")), "OutOfexample.com/gpu");
        assert_eq!(get(asks("example.com/other", "2")), "", "somebody else gives it");
        assert_eq!(get(asks("hugepages-2Mi", "2Mi")), "OutOfhugepages-2Mi");
        assert_eq!(get(json!({"containers": [], "nodeSelector": {"a": "c"}})), "NodeAffinity");
        let mut both = asks("cpu", "3");
        both["nodeSelector"] = json!({"a": "c"});
        assert_eq!(get(both), "OutOfcpu", "resources come first");
        assert_eq!(get(json!({"containers": [], "os": {"name": "windows"}})), "PodOSNotSupported");
        let sysctl = json!({"containers": [], "securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}});
        let refusal = admit(&pod("u1", sysctl), &Room::default()).expect_err("refused");
        assert_eq!(refusal, Refusal::new("SysctlForbidden", "forbidden sysctl: \"kernel.msgmax\" not allowlisted"));
    }

    #[test]
    fn what_others_have() {
        let port = |at: &str, port: i32| {
            json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": port, "hostIP": at}]}]})
        };
        let others = [Arc::new(pod("u2", port("192.0.2.1", 8080)))];
        let beside = |spec| reason(admit(&pod("u1", spec), &Room { others: &others, ..Room::default() }));
        let all = [port("", 8080), port("192.0.2.1", 8080), port("192.0.2.2", 8080), port("", 8081)].map(beside);
        assert_eq!(all, ["NodePorts", "NodePorts", "", ""]);
        let node = node("1", json!([]));
        let room = Room { node: Some(&node), others: &[Arc::new(pod("u2", asks("cpu", "1")))], ..Room::default() };
        let full = admit(&pod("u1", json!({"containers": []})), &room).expect_err("full");
        let text = "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1";
        assert_eq!(full, Refusal::new("OutOfpods", text));
    }

    #[test]
    fn taints_that_drive_pods_away() {
        let node = node("1", json!([{"key": "k", "effect": "NoExecute"}, {"key": "l", "effect": "NoSchedule"}]));
        let get = |spec| admit(&pod("u1", spec), &Room { node: Some(&node), ..Room::default() });
        let text = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate";
        assert_eq!(get(json!({"containers": []})), Err(Refusal::new("TaintToleration", text)));
        assert_eq!(get(json!({"containers": [], "tolerations": [{"key": "k", "operator": "Exists"}]})), Ok(Vec::new()));
    }

    #[test]
    fn a_node_under_pressure_takes_what_it_must() {
        let get = |spec: &Value, pressures: &[&'static str]| {
            admit(&pod("u1", spec.clone()), &Room { pressures, ..Room::default() }).map_err(|refusal| refusal.message)
        };
        let (least, some) = (json!({"containers": [{"name": "c"}]}), asks("cpu", "1m"));
        let memory = Err("The node had condition: [MemoryPressure]. ".to_owned());
        assert_eq!(get(&least, &["MemoryPressure"]), memory);
        assert_eq!(get(&some, &["MemoryPressure"]), Ok(Vec::new()));
        let mut tolerant = least.clone();
        tolerant["tolerations"] = json!([{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]);
        assert_eq!(get(&tolerant, &["MemoryPressure"]), Ok(Vec::new()));
        let both = ["MemoryPressure", "DiskPressure"];
        assert_eq!(get(&some, &both), Err("The node had condition: [MemoryPressure DiskPressure]. ".to_owned()));
        let mut critical = least.clone();
        critical["priority"] = json!(2_000_000_000);
        assert_eq!(get(&critical, &both), Ok(Vec::new()));
    }

    #[test]
    fn room_is_made_for_critical_pods() {
        let node = node("9", json!([]));
        let others = [Arc::new(pod("u2", asks("cpu", "1"))), Arc::new(pod("u3", asks("cpu", "500m")))];
        let room = Room { node: Some(&node), others: &others, ..Room::default() };
        let mut spec = asks("cpu", "1");
        spec["priority"] = json!(2_000_000_000);
        let uids = |list: Vec<Arc<Pod>>| list.iter().map(|p| spec::uid(p).to_owned()).collect::<Vec<_>>();
        assert_eq!(admit(&pod("u1", spec.clone()), &room).map(uids), Ok(vec!["u3".to_owned()]));
        spec["nodeSelector"] = json!({"a": "c"});
        assert_eq!(reason(admit(&pod("u1", spec), &room)), "NodeAffinity", "no room would help");
        assert_eq!(reason(admit(&pod("u1", asks("cpu", "1")), &room)), "OutOfcpu");
    }
}
