//! HTTP to pods, Services and nodes under a path of the API's own: what leads back is led through that path again
//! (upstream: `apimachinery/pkg/util/proxy`).

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use meta::{Reason, Status};
use transport::Body;

use super::{html, upgrade};
use crate::kubelet::Address;
use crate::verbs::Work;

/// Longest page whose links are rewritten, bytes; a longer one is an error.
const LONGEST_PAGE: usize = 32 << 20;
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// The two halves of a request's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Up to and including `/proxy`.
    pub prefix: String,
    /// What follows, as the client wrote it: empty, or with its slash.
    pub rest: String,
    /// The client's `Host`.
    pub client: String,
    /// The backend's `Host`.
    pub backend: String,
}

/// Passes the request on to the address, and its answer back.
pub async fn pass(mut work: Work<'_>, address: &Address) -> Result<Response<Body>, Status> {
    let place = place(&work, address);
    let method = work.ask.head.method.clone();
    let query = match &*transport::long::query(&work.ask.head.uri, &work.ask.head.extensions) {
        "" if work.ask.head.uri.query().is_none() => String::new(),
        query => format!("?{query}"),
    };
    if place.rest.is_empty() && !upgrade::wanted(work.headers()) && matches!(method, Method::GET | Method::HEAD) {
        return moved(&format!("{}/{query}", place.prefix));
    }
    let path = if place.rest.is_empty() { "/" } else { &place.rest };
    let target = format!("{path}{query}");
    let uri = format!("{}{path}", place.prefix);
    if let Ok(value) = HeaderValue::from_str(&uri) {
        work.ask.head.headers.insert(FORWARDED_URI, value);
    }
    if let Ok(value) = HeaderValue::from_str(&place.client) {
        work.ask.head.headers.insert(HOST, value);
    }
    let sent = upgrade::exchange(work, address, &target).await;
    let mut response = sent.map_err(|status| match status.reason {
        // The kubelets' own words are for the kubelets' own streams.
        Reason::InternalError if !address.is_kubelet() => {
            let why = status.message.trim_start_matches("error dialing backend: ");
            Status::new(Reason::ServiceUnavailable, format!("error trying to reach service: {why}"))
        }
        _ => status,
    })?;
    uncross(response.headers_mut());
    if let Some(location) = response.headers().get(LOCATION).and_then(|l| l.to_str().ok()) {
        let rewritten = place.rewritten(location);
        if let Ok(value) = HeaderValue::from_str(&rewritten) {
            response.headers_mut().insert(LOCATION, value);
        }
        return Ok(response);
    }
    if is_html(response.headers()) { page(response, &place).await } else { Ok(response) }
}

/// A proxied page must not open the API to scripts of other origins.
fn uncross(headers: &mut HeaderMap) {
    for name in ["credentials", "headers", "methods", "origin", "expose-headers", "max-age"] {
        let prefix = if matches!(name, "expose-headers" | "max-age") { "access-control-" } else { "access-control-allow-" };
        headers.remove(format!("{prefix}{name}"));
    }
}

fn moved(to: &str) -> Result<Response<Body>, Status> {
    let mut response = Response::new(transport::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(to).map_err(Status::internal)?);
    Ok(response)
}

fn place(work: &Work<'_>, address: &Address) -> Place {
    let path = work.ask.head.uri.path();
    // /api/v1/namespaces/x/pods/y/proxy, or /api/v1/nodes/x/proxy.
    let segments = if work.kind.namespaced { 7 } else { 5 };
    let end = path.match_indices('/').nth(segments).map_or(path.len(), |(at, _)| at);
    let of_header = || work.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let client = work.ask.head.uri.authority().map_or_else(of_header, |a| a.as_str());
    Place {
        prefix: path[..end].to_owned(),
        rest: path[end..].to_owned(),
        client: client.to_owned(),
        backend: address.authority(),
    }
}

impl Place {
    /// A link of the backend's that leads to the same place through the API. Others stay as they are.
    pub fn rewritten(&self, link: &str) -> String {
        let (own, path) = match link.split_once("//") {
            Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (host, path) = rest.split_at(end);
                if host == self.backend {
                    (String::new(), path)
                } else if host == self.client {
                    (format!("{scheme}//{host}"), path)
                } else {
                    return link.to_owned();
                }
            }
            _ => (String::new(), link),
        };
        if !path.starts_with('/') || path.starts_with(&self.prefix) {
            return format!("{own}{path}");
        }
        format!("{own}{}{path}", self.prefix)
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    // A page in an encoding that is not asked for is passed on as it is.
    kind.split(';').next().is_some_and(|k| k.trim() == "text/html") && !headers.contains_key(CONTENT_ENCODING)
}

async fn page(response: Response<Body>, place: &Place) -> Result<Response<Body>, Status> {
    let (mut head, mut body) = response.into_parts();
    let mut page = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Status::internal(format!("error reading the page: {e}")))?;
        page.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if page.len() > LONGEST_PAGE {
            return Err(Status::internal("error reading the page: it is too long"));
        }
    }
    let page = html::rewrite(&page, |link| place.rewritten(link));
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(head, transport::full(page)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_through_the_api() {
        let prefix = "/api/v1/namespaces/n/pods/p/proxy".to_owned();
        let place =
            Place { prefix, rest: "/".to_owned(), client: "api:6443".to_owned(), backend: "10.0.0.1:80".to_owned() };
        for (link, want) in [
            ("/x?y=1", "/api/v1/namespaces/n/pods/p/proxy/x?y=1"),
            ("/", "/api/v1/namespaces/n/pods/p/proxy/"),
            ("x/y", "x/y"),
            ("http://10.0.0.1:80/x", "/api/v1/namespaces/n/pods/p/proxy/x"),
            ("http://api:6443/x", "http://api:6443/api/v1/namespaces/n/pods/p/proxy/x"),
            ("https://elsewhere/x", "https://elsewhere/x"),
            ("//elsewhere/x", "//elsewhere/x"),
            ("/api/v1/namespaces/n/pods/p/proxy/x", "/api/v1/namespaces/n/pods/p/proxy/x"),
        ] {
            assert_eq!(place.rewritten(link), want);
        }
    }
}
