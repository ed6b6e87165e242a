//! The switch from HTTP to SPDY.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use transport::{Body, empty};

use super::{Connection, UPGRADE, serve};
use crate::server::text;
use crate::server::websocket::has;

const PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

/// Whether the client wants SPDY.
pub fn wanted(headers: &HeaderMap) -> bool {
    has(headers, &header::UPGRADE, "spdy/3.1") && has(headers, &header::CONNECTION, "upgrade")
}

/// Switches protocols and runs `session` on the connection; answers the request.
pub fn upgrade<F>(
    mut request: Request<Body>, ours: &[&'static str],
    session: impl FnOnce(Connection, &'static str) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    let protocol = match agree(request.headers(), ours) {
        Ok(protocol) => protocol,
        Err(refusal) => return *refusal,
    };
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrading.await.map(|upgraded| serve(TokioIo::new(upgraded))) {
            Ok(Ok(connection)) => session(connection, protocol).await,
            Ok(Err(error)) => tracing::debug!(%error, "SPDY not begun"),
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static(UPGRADE));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(PROTOCOL, HeaderValue::from_static(protocol));
    response
}

/// The first of the client's protocols that this side speaks (upstream: `httpstream.Handshake`).
fn agree(headers: &HeaderMap, ours: &[&'static str]) -> Result<&'static str, Box<Response<Body>>> {
    let offered = headers.get_all(PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    let offered: Vec<&str> = offered.flat_map(|v| v.split(',')).map(str::trim).filter(|v| !v.is_empty()).collect();
    if offered.is_empty() {
        let message = "unable to upgrade: header X-Stream-Protocol-Version does not exist in request";
        return Err(Box::new(text(StatusCode::BAD_REQUEST, message)));
    }
    offered.iter().find_map(|o| ours.iter().find(|p| *p == o)).copied().ok_or_else(|| {
        let lists = (offered.join(" "), ours.join(" "));
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            lists.0, lists.1
        );
        let mut refusal = text(StatusCode::FORBIDDEN, &message);
        for protocol in ours {
            refusal.headers_mut().append(ACCEPTED, HeaderValue::from_static(protocol));
        }
        Box::new(refusal)
    })
}
