//! Which pods stand behind a Service, and at which ports.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use meta::Key;

use crate::frame::{Seen, World};
use crate::{pods, selectors};

/// When the change happened that an endpoints object answers.
pub const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// Marks the endpoints of a Service without a cluster address.
pub const HEADLESS: &str = "service.kubernetes.io/headless";

/// Whether a Service's endpoints follow its selector.
pub fn is_managed(service: &Service) -> bool {
    let Some(spec) = &service.spec else { return false };
    spec.selector.is_some() && spec.type_.as_deref() != Some("ExternalName")
}

/// Whether a Service has no cluster address.
pub fn is_headless(spec: &ServiceSpec) -> bool {
    matches!(spec.cluster_ip.as_deref(), None | Some("" | "None"))
}

/// The keys of the Services that a change of a pod concerns.
pub fn of_pod(seen: &Seen, world: &World) -> Vec<Key> {
    let mut keys = Vec::new();
    if let (Some(old), Some(new)) = (seen.old::<Pod>(), seen.new_as::<Pod>())
        && !matters(old, new)
    {
        return keys;
    }
    for pod in seen.sides::<Pod>() {
        for service in world.of::<Service>().namespace(pod.metadata.namespace.as_deref().unwrap_or("")) {
            let selects = is_managed(service)
                && service.spec.as_ref().and_then(|s| s.selector.as_ref()).is_some_and(|s| selectors::has_all(s, &pod.metadata));
            let key = client::informer::key_of(&**service);
            if selects && !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// Whether a change of a pod can change endpoints.
fn matters(old: &Pod, new: &Pod) -> bool {
    let host = |pod: &Pod| pod.spec.as_ref().map(|s| (s.hostname.clone(), s.subdomain.clone()));
    old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
        || old.metadata.labels != new.metadata.labels
        || old.metadata.uid != new.metadata.uid
        || pods::is_ready(old) != pods::is_ready(new)
        || pods::is_terminal(old) != pods::is_terminal(new)
        || addresses(old) != addresses(new)
        || pods::node(old) != pods::node(new)
        || host(old) != host(new)
}

/// The addresses of a pod.
pub fn addresses(pod: &Pod) -> Vec<&str> {
    let Some(status) = &pod.status else { return Vec::new() };
    match status.pod_ips.as_deref() {
        Some(ips) if !ips.is_empty() => ips.iter().map(|ip| ip.ip.as_str()).collect(),
        _ => status.pod_ip.iter().map(String::as_str).collect(),
    }
}

/// The pods behind a Service: selected, with an address, not at their end.
pub fn backends<'a>(service: &Service, world: &'a World) -> Vec<&'a Pod> {
    let Some(selector) = service.spec.as_ref().and_then(|s| s.selector.clone()) else { return Vec::new() };
    let namespace = service.metadata.namespace.as_deref().unwrap_or("");
    let all = world.of::<Pod>().namespace(namespace).map(|pod| &**pod);
    all
        .filter(|pod| selectors::has_all(&selector, &pod.metadata))
        .filter(|pod| !pods::is_terminal(pod) && addresses(pod).iter().any(|a| !a.is_empty()))
        .collect()
}

/// The number of a Service's port at a pod; none if the pod has no port of that name.
pub fn port_at(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        Some(IntOrString::String(name)) if !name.is_empty() => name,
        Some(IntOrString::Int(number)) if *number != 0 => return Some(*number),
        _ => return Some(port.port),
    };
    let spec = pod.spec.as_ref()?;
    let sidecars = spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let ports = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    let mut found = ports.filter(|p| p.name.as_ref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol);
    found.next().map(|p| p.container_port)
}

/// The hostname that a pod has within the Service's domain.
pub fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let hostname = spec.hostname.clone().filter(|h| !h.is_empty())?;
    (spec.subdomain == service.metadata.name).then_some(hostname)
}

/// A reference to a pod, as endpoints have it.
pub fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// When the last change happened that can have changed a Service's endpoints, as far as objects tell.
pub fn trigger_time(service: &Service, backends: &[&Pod]) -> Option<String> {
    let ready = |pod: &&Pod| pods::condition(pod, "Ready").and_then(|c| c.last_transition_time.as_ref()).map(|t| t.0);
    let created = service.metadata.creation_timestamp.as_ref().map(|t| t.0);
    let last: Timestamp = backends.iter().filter_map(ready).chain(created).max()?;
    Some(meta::time::seconds(last))
}
