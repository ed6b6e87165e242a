//! `pods/log`: what a container printed.

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use meta::field::{Error, Path};
use meta::{Reason, Status};
use transport::Body;

use super::{socket, target};
use crate::answer;
use crate::kubelet;
use crate::query::{ParseError, Query};
use crate::verbs::Work;

/// Options that the kubelet reads, too.
const PASSED_ON: [&str; 7] =
    ["follow", "previous", "timestamps", "sinceSeconds", "sinceTime", "tailLines", "limitBytes"];

/// The longest error text read from a kubelet, in bytes.
const ERROR_LIMIT: usize = 16 * 1024;

/// Streams from the kubelet.
pub async fn run(mut work: Work<'_>) -> Result<Response<Body>, Status> {
    let response = read(&work).await?;
    if !socket::wanted(work.headers()) {
        return Ok(response);
    }
    let client = work.ask.head.extensions.remove::<OnUpgrade>();
    socket::log(work.headers(), client, response.into_body())
}

async fn read(work: &Work<'_>) -> Result<Response<Body>, Status> {
    let query = &work.ask.route.query;
    check(query, &work.attributes().name)?;
    let pod = target::pod(work).await?;
    let container = target::container(&pod, query.text("container"))?;
    let Some(kubelet) = target::kubelet_of(work.ask.state, &pod).await? else {
        // There is nothing to read yet.
        return Ok(answer::nothing(StatusCode::NO_CONTENT));
    };
    let options = query.encode(|name| PASSED_ON.contains(&name));
    let path = format!("/containerLogs/{}/{}/{container}?{options}", pod.namespace(), pod.name());
    let mut request = Request::new(transport::empty());
    *request.uri_mut() = path.parse().map_err(|e| Status::bad_request(format!("invalid path {path:?}: {e}")))?;
    let response = work.ask.state.kubelets.send(&kubelet, request).await?;
    if response.status() != StatusCode::OK {
        return Err(refused(response).await);
    }
    let mut response = kubelet::pass_on(response);
    response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// Upstream's `ValidatePodLogOptions`.
fn check(query: &Query, pod: &str) -> Result<(), Status> {
    let number = |name: &str| query.integer(name).map_err(|e: ParseError| Status::bad_request(e.to_string()));
    let mut errors = Vec::new();
    for (name, least, why) in [
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("limitBytes", 1, "must be greater than 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
    ] {
        if let Some(value) = number(name)?.filter(|v| *v < least) {
            errors.push(Error::invalid(&Path::new(name), value, why));
        }
    }
    if query.get("sinceSeconds").is_some() && query.get("sinceTime").is_some() {
        errors
            .push(Error::forbidden(&Path::new("[]"), "at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid("", "PodLogOptions", pod, &errors)) }
}

/// The kubelet's refusal, its text being the message.
async fn refused(response: Response<Incoming>) -> Status {
    let code = response.status().as_u16();
    let text = match Limited::new(response.into_body(), ERROR_LIMIT).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).trim_end().to_owned(),
        Err(error) => error.to_string(),
    };
    let reason = match code {
        400 => Reason::BadRequest,
        404 => Reason::NotFound,
        _ => Reason::InternalError,
    };
    let message = match reason {
        Reason::NotFound => format!("the server could not find the requested resource ( pods/log ): {text}"),
        _ => text,
    };
    Status::new(reason, message)
}
