//! Where a webhook is, as far as its configuration says, and then where it is now.

use std::net::IpAddr;

use kinds::webhook::{Client, Place as Named};
use meta::{Attributes, Object, Reason, Status, url};
use rand::Rng;
use registry::Registry;
use serde_json::Value;

use crate::endpoints;
use crate::kubelet::{NOT_ALLOWED, is_global};

/// How a webhook is asked.
pub struct Place {
    /// Who its certificate is for.
    pub name: String,
    /// As the `Host` header has it.
    pub authority: String,
    /// The path of the request.
    pub path: String,
    to: To,
}

enum To {
    Host(String, u16),
    Service { namespace: String, name: String, port: u16 },
}

/// An address to connect to.
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Whether only a global unicast address will do: what a Service leads to must not be this machine.
    pub global: bool,
}

impl Place {
    /// What the configuration says.
    pub fn of(client: &Client) -> Result<Place, String> {
        match &client.place {
            Named::Url(text) => {
                let url = url::parse(text).map_err(|why| format!("Unparsable URL: {why}"))?;
                let port = if url.port().is_empty() { "443" } else { url.port() };
                let number = port.parse().map_err(|_| format!("invalid port {port:?}"))?;
                let path = url.escaped_path();
                Ok(Place {
                    name: url.hostname().to_owned(),
                    authority: url.host.clone(),
                    path: if path.is_empty() { "/".to_owned() } else { path },
                    to: To::Host(url.hostname().to_owned(), number),
                })
            }
            Named::Service { namespace, name, port, path } => {
                let server = format!("{name}.{namespace}.svc");
                let slash = if path.starts_with('/') { "" } else { "/" };
                Ok(Place {
                    authority: format!("{server}:{port}"),
                    name: server,
                    path: format!("{slash}{path}"),
                    to: To::Service { namespace: namespace.clone(), name: name.clone(), port: *port },
                })
            }
        }
    }

    /// Where it is now: one of the Service's ready endpoints, chosen at random.
    pub async fn address(&self, registry: &Registry) -> Result<Address, String> {
        match &self.to {
            To::Host(host, port) => Ok(Address { host: host.clone(), port: *port, global: false }),
            To::Service { namespace, name, port } => {
                let found = endpoint(registry, namespace, name, *port).await;
                found.map_err(|status| status.message)
            }
        }
    }
}

/// Upstream: `apiserver/pkg/util/proxy.ResolveEndpoint`, and for Services that are names `ResolveCluster`.
async fn endpoint(registry: &Registry, namespace: &str, name: &str, port: u16) -> Result<Address, Status> {
    let unavailable = |why: String| Status::new(Reason::ServiceUnavailable, why);
    let service = service(registry, namespace, name).await?;
    match service.str_at("spec.type") {
        "ExternalName" => {
            return Ok(Address { host: service.str_at("spec.externalName").to_owned(), port, global: true });
        }
        "" | "ClusterIP" | "NodePort" | "LoadBalancer" => {}
        other => return Err(unavailable(format!("unsupported service type {other:?}"))),
    }
    let is_it = |found: &&Value| found.get("port").and_then(Value::as_u64) == Some(port.into());
    let found = service.list_at("spec.ports").iter().find(is_it);
    let found = found.ok_or_else(|| unavailable(format!("no service port {port} found for service {name:?}")))?;
    let port_name = found.get("name").and_then(Value::as_str).unwrap_or_default();
    let ready = endpoints::ready(registry, namespace, name, port_name).await?;
    let (host, port) = match ready.len() {
        0 => return Err(unavailable(format!("no endpoints available for service {name:?}"))),
        count => ready[rand::rng().random_range(0..count)].clone(),
    };
    let allowed = host.parse::<IpAddr>().is_ok_and(is_global);
    if allowed { Ok(Address { host, port, global: true }) } else { Err(unavailable(NOT_ALLOWED.to_owned())) }
}

async fn service(registry: &Registry, namespace: &str, name: &str) -> Result<Object, Status> {
    let attributes = Attributes {
        verb: "get".to_owned(),
        version: "v1".to_owned(),
        resource: "services".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    let found = registry.get(&attributes, "").await.map_err(|status| match status.reason {
        // As the lister says it.
        Reason::NotFound => Status::not_found("", "service", name),
        _ => status,
    })?;
    found.object()
}

#[cfg(test)]
mod tests {
    use registry::api::{Call, FieldValidation};
    use serde_json::json;

    use super::*;

    /// A registry in which there are these.
    async fn registry(objects: &[(&str, &str, &str, Value)]) -> std::sync::Arc<Registry> {
        let store = std::sync::Arc::new(store::Memory::new());
        let registry = Registry::open(store, kinds::all(), Vec::new(), registry::Config::default()).await.expect("opens");
        for (group, resource, name, object) in objects {
            let mut object = Object::from_value(object.clone()).expect("an object");
            object.set("metadata.name", *name);
            let attributes = Attributes {
                group: (*group).to_owned(),
                version: "v1".to_owned(),
                resource: (*resource).to_owned(),
                namespace: "n".to_owned(),
                ..Attributes::default()
            };
            let call = Call { attributes, dry_run: false, field_validation: FieldValidation::Warn, field_manager: String::new() };
            registry.create(&call, object).await.unwrap_or_else(|why| panic!("{name}: {why}"));
        }
        registry
    }

    #[tokio::test]
    async fn a_service_leads_to_its_ready_endpoints() {
        let slice = |of: &str, ready: bool, address: &str| {
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"labels": {"kubernetes.io/service-name": of}}, "ports": [{"name": "hook", "port": 8443}],
                "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}]})
        };
        let service = |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "spec": spec});
        let ports = json!([{"name": "other", "port": 80}, {"name": "hook", "port": 443}]);
        let slices = "discovery.k8s.io";
        let registry = registry(&[
            ("", "services", "s", service(json!({"ports": ports}))),
            ("", "services", "empty", service(json!({"ports": ports}))),
            ("", "services", "away", service(json!({"type": "ExternalName", "externalName": "a.example.com"}))),
            (slices, "endpointslices", "s-1", slice("s", true, "10.1.2.3")),
            (slices, "endpointslices", "s-2", slice("s", false, "10.1.2.4")),
            (slices, "endpointslices", "empty-1", slice("empty", false, "10.1.2.5")),
        ])
        .await;
        let to = async |name: &str, port: u16| {
            let found = endpoint(&registry, "n", name, port).await;
            found.map(|found| (found.host, found.port, found.global)).map_err(|status| status.message)
        };
        assert_eq!(to("s", 443).await, Ok(("10.1.2.3".to_owned(), 8443, true)));
        assert_eq!(to("s", 444).await, Err(r#"no service port 444 found for service "s""#.to_owned()));
        assert_eq!(to("empty", 443).await, Err(r#"no endpoints available for service "empty""#.to_owned()));
        assert_eq!(to("away", 443).await, Ok(("a.example.com".to_owned(), 443, true)));
        assert_eq!(to("absent", 443).await, Err(r#"service "absent" not found"#.to_owned()));
    }

    #[test]
    fn requests_name_whom_they_want() {
        let of = |place: Named| {
            let place = Place::of(&Client { place, bundle: Vec::new() }).expect("a place");
            (place.name, place.authority, place.path)
        };
        let parts = |name: &str, authority: &str, path: &str| (name.to_owned(), authority.to_owned(), path.to_owned());
        assert_eq!(of(Named::Url("https://[::1]:8443/a%20b".to_owned())), parts("::1", "[::1]:8443", "/a%20b"));
        assert_eq!(of(Named::Url("https://host".to_owned())), parts("host", "host", "/"));
        let service = |path: &str| Named::Service { namespace: "n".to_owned(), name: "s".to_owned(), port: 443, path: path.to_owned() };
        assert_eq!(of(service("")), parts("s.n.svc", "s.n.svc:443", "/"));
        assert_eq!(of(service("/convert")), parts("s.n.svc", "s.n.svc:443", "/convert"));
    }
}
