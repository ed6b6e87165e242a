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
    let host = address(pod.str_at("status.podIP"))?;
    let address = Address { host, port, trust: target::trust(scheme) };
    proxy::pass(work, &address).await
}

/// The address, if it is one that may be proxied to: the API server must not be a way to its own loopback
/// or to link-local metadata services (upstream: `proxyutil.IsProxyableIP`).
pub fn address(ip: &str) -> Result<String, Status> {
    let parsed: Option<std::net::IpAddr> = ip.parse().ok();
    let allowed = parsed.is_some_and(|ip| {
        let local = match ip {
            std::net::IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
            std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        !local && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
    });
    if allowed { Ok(ip.to_owned()) } else { Err(Status::bad_request("address not allowed")) }
}

fn first_port(pod: &Object) -> Option<u16> {
    let ports = pod.list_at("spec.containers").iter().filter_map(|c| c.get("ports")?.as_array()?.first());
    ports.filter_map(|p| p.get("containerPort").and_then(Value::as_u64)).next().and_then(|p| u16::try_from(p).ok())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn only_global_addresses_are_proxied_to() {
        for bad in ["127.0.0.1", "169.254.169.254", "::1", "", "x"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(address("10.244.0.3").is_ok());
    }
}
