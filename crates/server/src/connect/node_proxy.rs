//! `nodes/proxy`: the kubelet's own HTTP interface.

use http::Response;
use meta::Status;
use transport::Body;

use super::{proxy, target};
use crate::verbs::Work;

/// Leads to the kubelet, or to another port of the node.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    let name = &work.attributes().name;
    let invalid = || Status::bad_request(format!("invalid node request {name:?}"));
    let (scheme, node, port) = target::scheme_name_port(name).ok_or_else(invalid)?;
    let mut address = target::kubelet(work.ask.state, node).await?;
    if !port.is_empty() && port != address.port.to_string() {
        address.port = port.parse().map_err(|_| invalid())?;
        address.trust = target::trust(scheme);
    }
    // What a node says of itself must not lead to the API server's own loopback.
    address.global = true;
    if address.host.parse::<std::net::IpAddr>().is_ok() {
        target::proxied(&address.host)?;
    }
    proxy::pass(work, &address).await
}
