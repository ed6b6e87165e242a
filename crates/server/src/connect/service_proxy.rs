//! `services/proxy`: HTTP to one of a Service's endpoints (upstream: `registry/core/service/storage`).

use http::Response;
use meta::{Object, Status};
use rand::Rng;
use serde_json::Value;
use transport::Body;

use super::{proxy, target};
use crate::endpoints;
use crate::kubelet::Address;
use crate::verbs::Work;

/// Leads to a ready endpoint, chosen at random.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    let a = work.attributes();
    let invalid = || Status::bad_request(format!("invalid service request {:?}", a.name));
    let (scheme, name, wanted) = target::scheme_name_port(&a.name).ok_or_else(invalid)?;
    let service = target::object(work.ask.state, "services", &a.namespace, name).await?;
    let port_name = port_name(&service, wanted).ok_or_else(|| {
        let number = wanted.parse().map_or_else(|_| format!("{wanted:?}"), |n: u16| n.to_string());
        let why = format!("no service port {number} found for service {name:?}");
        Status::new(meta::Reason::ServiceUnavailable, why)
    })?;
    let ready = endpoints::ready(&work.ask.state.registry, &a.namespace, name, &port_name).await?;
    let none = || Status::new(meta::Reason::ServiceUnavailable, format!("no endpoints available for service {name:?}"));
    let (ip, port) = match ready.len() {
        0 => return Err(none()),
        count => ready[rand::rng().random_range(0..count)].clone(),
    };
    let address = Address { host: target::proxied(&ip)?, port, trust: target::trust(scheme), global: true };
    proxy::pass(work, &address).await
}

/// The name of the Service's port that is meant: by name, by number, or the only one.
fn port_name(service: &Object, wanted: &str) -> Option<String> {
    let ports = service.list_at("spec.ports");
    let name = |p: &Value| p.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let number: Option<u64> = wanted.parse().ok();
    if wanted.is_empty() && ports.len() == 1 {
        return ports.first().map(name);
    }
    let is_it = |p: &&Value| name(p) == wanted || number.is_some() && p.get("port").and_then(Value::as_u64) == number;
    ports.iter().find(is_it).map(name)
}
