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
    use super::*;

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
