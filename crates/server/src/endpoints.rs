//! Which endpoints a Service has.

use meta::selector::Labels;
use meta::{Attributes, Status};
use registry::Registry;
use registry::api::{ListOptions, Scope};
use serde_json::Value;

/// Address and port of every ready endpoint of a Service's port, which goes by its name.
pub async fn ready(registry: &Registry, namespace: &str, service: &str, port: &str) -> Result<Vec<(String, u16)>, Status> {
    let attributes = Attributes {
        verb: "list".to_owned(),
        group: "discovery.k8s.io".to_owned(),
        version: "v1".to_owned(),
        resource: "endpointslices".to_owned(),
        namespace: namespace.to_owned(),
        ..Attributes::default()
    };
    let labels = Labels::from_map([("kubernetes.io/service-name", service)]);
    let scope = Scope { namespace: Some(namespace.to_owned()), labels, ..Scope::default() };
    let slices = registry.list(&attributes, &scope, &ListOptions::default()).await?;
    let mut ready = Vec::new();
    for slice in &slices.items {
        ready.extend(ready_in(&slice.object()?.into_value(), port));
    }
    Ok(ready)
}

fn ready_in(slice: &Value, port: &str) -> Vec<(String, u16)> {
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let named = |p: &&Value| p.get("name").and_then(Value::as_str).unwrap_or_default() == port;
    let ports = list(slice, "ports");
    let number = ports.iter().find(named).and_then(|p| p.get("port")?.as_u64()).and_then(|p| u16::try_from(p).ok());
    let Some(number) = number else { return Vec::new() };
    let is_ready = |e: &Value| e.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    let address = |e: &Value| Some((e.pointer("/addresses/0")?.as_str()?.to_owned(), number));
    list(slice, "endpoints").iter().filter(|e| is_ready(e)).filter_map(address).collect()
}
