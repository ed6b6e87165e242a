//! `pods/proxy`: HTTP to a pod.

use http::Response;
use meta::{Object, Status};
use serde_json::Value;
use transport::Body;

use super::{proxy, target};
use crate::kubelet::Address;
use crate::verbs::Work;

/// Leads to the pod's address.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    let a = work.attributes();
    let invalid = || Status::bad_request(format!("invalid pod request {:?}", a.name));
    let (scheme, name, port) = target::scheme_name_port(&a.name).ok_or_else(invalid)?;
    let pod = target::object(work.ask.state, "pods", &a.namespace, name).await?;
    let port = match port {
        "" => first_port(&pod).unwrap_or(if scheme == "https" { 443 } else { 80 }),
        port => port.parse().map_err(|_| invalid())?,
    };
    let host = target::proxied(pod.str_at("status.podIP"))?;
    let address = Address { host, port, trust: target::trust(scheme), global: true };
    proxy::pass(work, &address).await
}

fn first_port(pod: &Object) -> Option<u16> {
    let ports = pod.list_at("spec.containers").iter().filter_map(|c| c.get("ports")?.as_array()?.first());
    ports.filter_map(|p| p.get("containerPort").and_then(Value::as_u64)).next().and_then(|p| u16::try_from(p).ok())
}
