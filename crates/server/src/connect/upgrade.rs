//! Requests that are passed on, body, upgrade and all.

use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderName, PROXY_AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use meta::{Attributes, Status};
use tokio::io::copy_bidirectional;
use transport::{Body, long};

use crate::kubelet::{self, Address};
use crate::verbs::Work;

/// Headers that belong to one connection.
const HOP_BY_HOP: [HeaderName; 6] = [CONNECTION, UPGRADE, TE, TRAILER, TRANSFER_ENCODING, PROXY_AUTHORIZATION];

/// A WebSocket protocol that is none (upstream: `authenticator/request/websocket`).
pub const BEARER: &str = "base64url.bearer.authorization.k8s.io.";

/// Whether the client wants to leave HTTP.
pub fn wanted(headers: &HeaderMap) -> bool {
    let connection = headers.get(CONNECTION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    headers.contains_key(UPGRADE) && connection.split(',').any(|t| t.trim().eq_ignore_ascii_case("upgrade"))
}

/// Refuses what cannot be a stream.
pub fn required(headers: &HeaderMap) -> Result<(), Status> {
    if wanted(headers) { Ok(()) } else { Err(Status::bad_request("Upgrade request required")) }
}

/// Refuses who may look at such a stream but not make one: a WebSocket begins with GET
/// (upstream: `AuthorizePodWebsocketUpgradeCreatePermission`).
pub fn allowed(work: &Work<'_>) -> Result<(), Status> {
    let attributes = Attributes { verb: "create".to_owned(), ..work.attributes().clone() };
    if work.attributes().verb == attributes.verb { Ok(()) } else { work.ask.state.authorization.check(&attributes) }
}

/// Passes a request on to a kubelet, to another path.
pub async fn pass(mut work: Work<'_>, address: &Address, path: &str) -> Result<Response<Body>, Status> {
    work.ask.head.headers.remove(HOST);
    exchange(work, address, path).await
}

/// Passes the request on, to another path. If the other side upgrades, so do we, and from then on bytes
/// are copied both ways until one side closes. The client's credentials stay here.
pub async fn exchange(work: Work<'_>, address: &Address, path: &str) -> Result<Response<Body>, Status> {
    let Work { mut ask, .. } = work;
    let upgrading = wanted(&ask.head.headers);
    let (short, rest) = long::split(path);
    let uri: Uri = short.parse().map_err(|e| Status::bad_request(format!("invalid path {short:?}: {e}")))?;
    let mut request = Request::new(ask.body);
    rest.map(|rest| request.extensions_mut().insert(rest));
    *request.method_mut() = ask.head.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = forwarded(&ask.head.headers, upgrading);
    let client = ask.head.extensions.remove::<OnUpgrade>();
    let mut response = ask.state.kubelets.send(address, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let mut response = kubelet::pass_on(response);
        HOP_BY_HOP.iter().for_each(|name| drop(response.headers_mut().remove(name)));
        return Ok(response);
    }
    let Some(client) = client else { return Err(Status::bad_request("this connection cannot be upgraded")) };
    let server = hyper::upgrade::on(&mut response);
    tokio::spawn(splice(client, server));
    let (head, _) = response.into_parts();
    Ok(Response::from_parts(head, transport::empty()))
}

/// The client's headers without those of its own connection and without its credentials.
fn forwarded(headers: &HeaderMap, upgrading: bool) -> HeaderMap {
    let mut out = headers.clone();
    for name in HOP_BY_HOP.iter().filter(|n| !upgrading || !matches!(**n, CONNECTION | UPGRADE)) {
        out.remove(name);
    }
    out.remove(AUTHORIZATION);
    // A browser's credentials are among its protocols.
    let protocols = out.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    let protocols = protocols.flat_map(|v| v.split(',')).map(str::trim).filter(|p| !p.starts_with(BEARER));
    let protocols = protocols.collect::<Vec<_>>().join(", ");
    out.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(value) = HeaderValue::from_str(&protocols).ok().filter(|v| !v.is_empty()) {
        out.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    let impersonation: Vec<HeaderName> =
        out.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    impersonation.into_iter().for_each(|name| drop(out.remove(name)));
    out
}

async fn splice(client: OnUpgrade, server: OnUpgrade) {
    let copied = async {
        let (client, server) = tokio::try_join!(client, server)?;
        let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
        copy_bidirectional(&mut client, &mut server).await.map_err(transport::Error::from)?;
        Ok::<(), transport::Error>(())
    };
    if let Err(error) = copied.await {
        tracing::debug!(%error, "a stream ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.eA, binary.k8s.io"),
            ("impersonate-user", "a"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        assert!(wanted(&headers));
        let mut left: Vec<_> = forwarded(&headers, true).keys().map(ToString::to_string).collect();
        left.sort();
        assert_eq!(left, ["connection", "sec-websocket-key", "sec-websocket-protocol", "upgrade"]);
        assert_eq!(forwarded(&headers, true)["sec-websocket-protocol"], "binary.k8s.io");
        assert_eq!(forwarded(&headers, false).len(), 2);
    }
}
