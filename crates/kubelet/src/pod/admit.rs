//! Pods that this node cannot run at all: told once, before anything is made for them
//! (upstream: the kubelet's admit handlers). Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use meta::Quantity;
use runtime::Features;

use super::unsupported;
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

/// Whether the node takes the pod, beside those that it has. `None`: it does.
pub fn admit(pod: &Pod, others: &[Arc<Pod>], node: Option<&Node>, features: Features) -> Option<Refusal> {
    let machine = || wrong_machine(pod).or_else(|| wrong_labels(pod, node?));
    let ours = || unsupported::pod(pod, features).or_else(|| forbidden_sysctl(pod));
    ours().or_else(machine).or_else(|| taken_port(pod, others)).or_else(|| too_much(pod, others, node?))
}

fn forbidden_sysctl(pod: &Pod) -> Option<Refusal> {
    let context = spec::of(pod).security_context.as_ref()?;
    let is_safe = |name: &str| SAFE_SYSCTLS.contains(&name.replace('/', ".").as_str());
    let bad = context.sysctls.iter().flatten().find(|s| !is_safe(&s.name))?;
    Some(Refusal {
        reason: "SysctlForbidden".to_owned(),
        message: format!("Pod was rejected: forbidden sysctl: {:?} not allowlisted", bad.name),
    })
}

/// Pods for other operating systems (upstream: `lifecycle/predicate.go`).
fn wrong_machine(pod: &Pod) -> Option<Refusal> {
    const LABEL: &str = "kubernetes.io/os";
    let refusal = |reason: &str, why: &str| {
        Some(Refusal { reason: reason.to_owned(), message: format!("Pod was rejected: Failed to admit pod as {why}") })
    };
    let spec = spec::of(pod);
    let selected = spec.node_selector.as_ref().and_then(|s| s.get(LABEL));
    if selected.is_some_and(|os| os != "linux") {
        return refusal("PodOSSelectorNodeLabelDoesNotMatch", "the `kubernetes.io/os` label doesn't match node label");
    }
    if spec.os.as_ref().is_some_and(|os| os.name != "linux") {
        return refusal("PodOSNotSupported", "the OS field doesn't match node OS");
    }
    None
}

/// The node's labels may have changed since the pod was scheduled.
fn wrong_labels(pod: &Pod, node: &Node) -> Option<Refusal> {
    let labels = node.metadata.labels.as_ref();
    let wanted = spec::of(pod).node_selector.iter().flatten();
    let fits = wanted.into_iter().all(|(key, value)| labels.and_then(|l| l.get(key)) == Some(value));
    (!fits).then(|| Refusal {
        reason: "NodeAffinity".to_owned(),
        message: "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
            .to_owned(),
    })
}

/// A pod that was not scheduled may want a host port that another has. The wildcard address collides with every one.
fn taken_port(pod: &Pod, others: &[Arc<Pod>]) -> Option<Refusal> {
    let wanted = host_ports(pod);
    let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
    let collide = |a: &(&str, &str, i32), b: &(&str, &str, i32)| {
        (a.1, a.2) == (b.1, b.2) && (a.0 == b.0 || any(a.0) || any(b.0))
    };
    let mut here = others.iter().filter(|p| spec::uid(p) != spec::uid(pod) && !spec::is_terminal(p));
    let taken = !wanted.is_empty() && here.any(|p| host_ports(p).iter().any(|b| wanted.iter().any(|a| collide(a, b))));
    taken.then(|| Refusal {
        reason: "NodePorts".to_owned(),
        message: "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
            .to_owned(),
    })
}

/// Address, protocol and number of the node's ports that containers of a pod want for as long as it runs.
fn host_ports(pod: &Pod) -> Vec<(&str, &str, i32)> {
    let sidecars = spec::init_containers(pod).iter().filter(|c| spec::is_sidecar(c));
    let ports = spec::of(pod).containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    ports
        .filter_map(|p| {
            let protocol = p.protocol.as_deref().unwrap_or("TCP");
            Some((p.host_ip.as_deref().unwrap_or_default(), protocol, p.host_port.filter(|port| *port > 0)?))
        })
        .collect()
}

/// A resource of which the node has not enough left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Its name.
    pub resource: &'static str,
    /// What the pod asks for, in thousandths for CPU.
    pub requested: i64,
    /// What the others have.
    pub used: i64,
    /// What there is.
    pub capacity: i64,
}

fn too_much(pod: &Pod, others: &[Arc<Pod>], node: &Node) -> Option<Refusal> {
    let Shortage { resource, requested, used, capacity } = shortage(pod, others, node)?;
    Some(Refusal {
        reason: format!("OutOf{resource}"),
        message: format!(
            "Pod was rejected: Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, \
             capacity: {capacity}"
        ),
    })
}

/// Requests beyond what the node can give.
pub fn shortage(pod: &Pod, others: &[Arc<Pod>], node: &Node) -> Option<Shortage> {
    let allocatable = node.status.as_ref()?.allocatable.as_ref()?;
    let here: Vec<&Arc<Pod>> =
        others.iter().filter(|p| spec::uid(p) != spec::uid(pod) && !spec::is_terminal(p)).collect();
    for resource in ["pods", "cpu", "memory", "ephemeral-storage"] {
        let Some(capacity) = allocatable.get(resource).and_then(|q| Quantity::parse(&q.0).ok()) else { continue };
        let unit = |q: Quantity| if resource == "cpu" { q.milli_value() } else { q.value() };
        let request = |p: &Pod| if resource == "pods" { 1 } else { requests(p, resource, unit) };
        let (requested, used) = (request(pod), here.iter().map(|p| request(p)).sum::<i64>());
        if requested > 0 && requested + used > unit(capacity) {
            return Some(Shortage { resource, requested, used, capacity: unit(capacity) });
        }
    }
    None
}

fn requests(pod: &Pod, resource: &str, unit: impl Fn(Quantity) -> i64) -> i64 {
    let of = |c: &k8s_openapi::api::core::v1::Container| spec::amount(c, false, resource).map_or(0, &unit);
    let (sidecars, once): (Vec<_>, Vec<_>) = spec::init_containers(pod).iter().partition(|c| spec::is_sidecar(c));
    let beside: i64 = sidecars.into_iter().map(of).sum();
    let all: i64 = spec::of(pod).containers.iter().map(of).sum();
    (all + beside).max(once.into_iter().map(of).max().unwrap_or(0) + beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals() {
        let node: Node = serde_json::from_value(json!({"metadata": {"labels": {"a": "b"}},
            "status": {"allocatable": {"cpu": "2", "pods": "1", "ephemeral-storage": "1Gi"}}}))
        .expect("node");
        let get = |spec| admit(&spec::tests::pod(spec), &[], Some(&node), Features::default()).map(|r| r.reason);
        let cpu = |amount: &str| json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": amount}}}]});
        assert_eq!(get(cpu("2")), None);
        assert_eq!(get(cpu("2100m")).as_deref(), Some("OutOfcpu"));
        assert_eq!(get(json!({"containers": [], "nodeSelector": {"a": "c"}})).as_deref(), Some("NodeAffinity"));
        let disk = json!({"containers": [{"name": "c", "resources": {"requests": {"ephemeral-storage": "2Gi"}}}]});
        assert_eq!(get(disk).as_deref(), Some("OutOfephemeral-storage"));
        let os = json!({"containers": [], "os": {"name": "windows"}});
        assert_eq!(get(os).as_deref(), Some("PodOSNotSupported"));
        let sysctl = json!({"containers": [], "securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}});
        let refusal = admit(&spec::tests::pod(sysctl), &[], Some(&node), Features::default()).expect("refused");
        assert_eq!(refusal.message, "Pod was rejected: forbidden sysctl: \"kernel.msgmax\" not allowlisted");
        let port = |at: &str, port: i32| {
            json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": port, "hostIP": at}]}]})
        };
        let mut other = spec::tests::pod(port("192.0.2.1", 8080));
        other.metadata.uid = Some("u2".to_owned());
        let beside = |spec| admit(&spec::tests::pod(spec), &[Arc::new(other.clone())], None, Features::default()).map(|r| r.reason);
        let all = [port("", 8080), port("192.0.2.1", 8080), port("192.0.2.2", 8080), port("", 8081)].map(beside);
        assert_eq!(all.map(|reason| reason.is_some_and(|r| r == "NodePorts")), [true, true, false, false]);
        let mut other = spec::tests::pod(cpu("1"));
        other.metadata.uid = Some("u2".to_owned());
        let full = admit(&spec::tests::pod(json!({"containers": []})), &[Arc::new(other)], Some(&node), Features::default());
        assert_eq!(full.map(|r| r.reason).as_deref(), Some("OutOfpods"));
    }
}
