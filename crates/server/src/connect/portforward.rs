//! `pods/portforward`: connections to a pod's ports.

use http::Response;
use meta::Status;
use transport::Body;

use super::{target, upgrade};
use crate::verbs::Work;

/// Leads to the kubelet.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    upgrade::allowed(&work)?;
    let pod = target::pod(&work).await?;
    let kubelet = target::kubelet_needed(work.ask.state, &pod).await?;
    upgrade::required(work.headers())?;
    let ports = work.ask.route.query.encode(|name| name == "ports" || name == "port");
    let path = format!("/portForward/{}/{}?{ports}", pod.namespace(), pod.name());
    upgrade::pass(work, &kubelet, &path).await
}
