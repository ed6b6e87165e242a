//! Requests that are passed on, body, upgrade and all.

use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderName, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use meta::Status;
use tokio::io::copy_bidirectional;
use transport::Body;

use crate::kubelet::{self, Address};
use crate::verbs::Work;

/// Headers that belong to one connection.
const HOP_BY_HOP: [HeaderName; 6] = [CONNECTION, UPGRADE, TE, TRAILER, TRANSFER_ENCODING, PROXY_AUTHORIZATION];

/// Whether the client wants to leave HTTP.
pub fn wanted(headers: &HeaderMap) -> bool {
    let connection = headers.get(CONNECTION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    headers.contains_key(UPGRADE) && connection.split(',').any(|t| t.trim().eq_ignore_ascii_case("upgrade"))
}

/// Refuses what cannot be a stream.
pub fn required(headers: &HeaderMap) -> Result<(), Status> {
    if wanted(headers) { Ok(()) } else { Err(Status::bad_request("Upgrade request required")) }
}

/// Passes the request on, to another path. If the other side upgrades, so do we, and from then on bytes
/// are copied both ways until one side closes. The client's credentials stay here.
pub async fn pass(work: Work<'_>, address: &Address, path: &str) -> Result<Response<Body>, Status> {
    let Work { mut ask, .. } = work;
    let upgrading = wanted(&ask.head.headers);
    let uri: Uri = path.parse().map_err(|e| Status::bad_request(format!("invalid path {path:?}: {e}")))?;
    let mut request = Request::new(ask.body);
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
    for name in [AUTHORIZATION, HOST] {
        out.remove(name);
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
    use http::HeaderValue;

    #[test]
    fn credentials_stay_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
            ("impersonate-user", "a"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        assert!(wanted(&headers));
        let mut left: Vec<_> = forwarded(&headers, true).keys().map(ToString::to_string).collect();
        left.sort();
        assert_eq!(left, ["connection", "sec-websocket-key", "upgrade"]);
        assert_eq!(forwarded(&headers, false).len(), 1);
    }
}
