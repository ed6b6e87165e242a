//! `/debug/api_priority_and_fairness/…`: who waits and who runs.

use http::{Response, StatusCode};
use meta::Status;
use transport::Body;

use crate::answer;
use crate::flow::dump;
use crate::pipeline::Ask;

/// Answers with a page of columns.
pub fn run(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let flow = &ask.state.flow;
    let details = !ask.route.query.text("includeRequestDetails").is_empty();
    let page = match ask.route.attributes.path.rsplit('/').next() {
        Some("dump_priority_levels") => dump::levels(flow),
        Some("dump_queues") => dump::queues(flow),
        Some("dump_requests") => dump::requests(flow, details),
        _ => return Ok(answer::page_not_found()),
    };
    Ok(answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", page))
}
