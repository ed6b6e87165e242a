//! Pods, containers and nodes that a stream is about (upstream: `registry/core/pod/strategy.go`,
//! `registry/core/node/strategy.go`).

use meta::{Attributes, Object, Reason, Status};
use serde_json::Value;

use crate::kubelet::{Address, NOT_ALLOWED, Trust, is_global};
use crate::server::State;
use crate::verbs::Work;

/// The port of a kubelet that does not say another one.
const KUBELET_PORT: i64 = 10250;

/// The lists of containers in a pod.
const CONTAINERS: [&str; 3] = ["spec.initContainers", "spec.containers", "spec.ephemeralContainers"];

/// Any object.
pub async fn object(state: &State, resource: &str, namespace: &str, name: &str) -> Result<Object, Status> {
    let attributes = Attributes {
        verb: "get".to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    state.registry.get(&attributes, "").await?.object()
}

/// The pod in the path.
pub async fn pod(work: &Work<'_>) -> Result<Object, Status> {
    let a = work.attributes();
    object(work.ask.state, "pods", &a.namespace, &a.name).await
}

/// The container that the client means: the one it names, or the only one.
pub fn container(pod: &Object, wanted: &str) -> Result<String, Status> {
    let name = |c: &Value| c.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = || CONTAINERS.iter().flat_map(|list| pod.list_at(list)).map(name);
    let pod_name = pod.name();
    if !wanted.is_empty() {
        let there = all().any(|c| c == wanted);
        let why = || Status::bad_request(format!("container {wanted} is not valid for pod {pod_name}"));
        return if there { Ok(wanted.to_owned()) } else { Err(why()) };
    }
    match pod.list_at("spec.containers") {
        [only] => Ok(name(only)),
        [] => Err(Status::bad_request(format!("a container name must be specified for pod {pod_name}"))),
        _ => {
            let names = all().collect::<Vec<_>>().join(" ");
            let why = format!("a container name must be specified for pod {pod_name}, choose one of: [{names}]");
            Err(Status::bad_request(why))
        }
    }
}

/// The kubelet of the pod's node; `None` for a pod that has no node yet.
pub async fn kubelet_of(state: &State, pod: &Object) -> Result<Option<Address>, Status> {
    match pod.str_at("spec.nodeName") {
        "" => Ok(None),
        // Upstream takes the node for a pod in its answer.
        node => kubelet(state, node).await.map(Some).map_err(|status| match status.reason {
            Reason::NotFound => Status::not_found("", "pods", node),
            _ => status,
        }),
    }
}

/// The same for requests that are no use without a node.
pub async fn kubelet_needed(state: &State, pod: &Object) -> Result<Address, Status> {
    let unassigned = || Status::bad_request(format!("pod {} does not have a host assigned", pod.name()));
    kubelet_of(state, pod).await?.ok_or_else(unassigned)
}

/// The kubelet of a node: upstream's preference among addresses without names to resolve.
pub async fn kubelet(state: &State, node: &str) -> Result<Address, Status> {
    let node = object(state, "nodes", "", node).await?;
    let address = |wanted: &str| {
        let addresses = node.list_at("status.addresses").iter();
        let text = |a: &Value, f: &str| a.get(f).and_then(Value::as_str).unwrap_or_default().to_owned();
        addresses.filter(|a| text(a, "type") == wanted).map(|a| text(a, "address")).next()
    };
    let host = address("InternalIP").or_else(|| address("ExternalIP")).or_else(|| address("Hostname"));
    let host =
        host.ok_or_else(|| Status::internal(format!("no preferred addresses found for node {:?}", node.name())))?;
    let port = node.i64_at("status.daemonEndpoints.kubeletEndpoint.Port").filter(|p| *p > 0).unwrap_or(KUBELET_PORT);
    Ok(Address { host, port: u16::try_from(port).unwrap_or(10250), trust: Trust::Kubelet, global: false })
}

/// The address, if it is one that may be proxied to: the API server must not be a way to its own loopback
/// or to link-local metadata services (upstream: `proxyutil.IsProxyableIP`).
pub fn proxied(ip: &str) -> Result<String, Status> {
    let allowed = ip.parse().is_ok_and(is_global);
    if allowed { Ok(ip.to_owned()) } else { Err(Status::bad_request(NOT_ALLOWED)) }
}

/// What a proxied name's scheme says.
pub fn trust(scheme: &str) -> Trust {
    if scheme == "https" { Trust::Anyone } else { Trust::Plain }
}

/// Splits `name`, `name:port`, `scheme:name:port` (upstream: `utilnet.SplitSchemeNamePort`).
pub fn scheme_name_port(id: &str) -> Option<(&str, &str, &str)> {
    let parts: Vec<&str> = id.split(':').collect();
    let (scheme, name, port) = match parts.as_slice() {
        [name] => ("", *name, ""),
        [name, port] => ("", *name, *port),
        [scheme, name, port] => (*scheme, *name, *port),
        _ => return None,
    };
    (!name.is_empty() && matches!(scheme, "" | "http" | "https")).then_some((scheme, name, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_only_container_needs_no_name() {
        let pod = |names: &[&str]| {
            let list: Vec<_> = names.iter().map(|n| json!({"name": n})).collect();
            Object::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": list}})).expect("object")
        };
        assert_eq!(container(&pod(&["a"]), ""), Ok("a".to_owned()));
        assert_eq!(container(&pod(&["a", "b"]), "b"), Ok("b".to_owned()));
        let message = |p: Object, wanted: &str| container(&p, wanted).expect_err("refused").message;
        assert_eq!(message(pod(&["a", "b"]), ""), "a container name must be specified for pod p, choose one of: [a b]");
        assert_eq!(message(pod(&["a"]), "x"), "container x is not valid for pod p");
    }

    #[test]
    fn only_global_addresses_are_proxied_to() {
        let bad = ["127.0.0.1", "169.254.169.254", "::1", "", "x", "0.0.0.0", "224.0.0.1", "255.255.255.255", "fe80::1", "ff02::1"];
        for bad in bad.into_iter().chain(["::ffff:127.0.0.1", "::ffff:169.254.169.254", "::", "127.1", "[::1]"]) {
            assert_eq!(proxied(bad).expect_err(bad).message, NOT_ALLOWED);
        }
        for good in ["10.244.0.3", "fd00::3", "8.8.8.8"] {
            assert_eq!(proxied(good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn proxied_names_may_carry_scheme_and_port() {
        assert_eq!(scheme_name_port("n"), Some(("", "n", "")));
        assert_eq!(scheme_name_port("n:80"), Some(("", "n", "80")));
        assert_eq!(scheme_name_port("https:n:"), Some(("https", "n", "")));
        assert_eq!(scheme_name_port("ftp:n:1"), None);
    }
}
