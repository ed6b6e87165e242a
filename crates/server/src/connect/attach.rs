//! `pods/attach`: the streams of a running container.

use http::Response;
use meta::Status;
use transport::Body;

use super::exec;
use crate::verbs::Work;

/// Leads to the kubelet.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    exec::stream(work, "attach").await
}
