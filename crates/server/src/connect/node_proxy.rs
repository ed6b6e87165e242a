//! `nodes/proxy`: the kubelet's own HTTP interface.

use http::Response;
use meta::Status;
use transport::Body;

use super::{target, upgrade};
use crate::verbs::Work;

/// Leads to the kubelet.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    let name = &work.attributes().name;
    let invalid = || Status::bad_request(format!("invalid node request {name:?}"));
    let (_, node, port) = target::scheme_name_port(name).ok_or_else(invalid)?;
    let mut kubelet = target::kubelet(work.ask.state, node).await?;
    if !port.is_empty() {
        kubelet.port = port.parse().map_err(|_| invalid())?;
    }
    let path = below(&work);
    upgrade::pass(work, &kubelet, &path).await
}

/// Path and query after `/proxy`.
pub fn below(work: &Work<'_>) -> String {
    let query = work.ask.head.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    format!("/{}{query}", work.ask.route.rest)
}
