//! Documents behind a URL (upstream: `resource.URLVisitor`).

use std::time::Duration;

use http::header::LOCATION;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;

use crate::failure::Failure;

/// How often it is tried, and the time between two tries.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How often one place may lead to another, as in Go's client.
const REDIRECTS: usize = 10;
/// Bytes of a document.
const LARGEST: usize = 64 << 20;

/// Whether a name is no path.
pub fn is_url(name: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| name.starts_with(scheme))
}

/// The document, as text.
pub async fn read(url: &str) -> Result<String, Failure> {
    let mut last = Failure::message("nothing was tried");
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let response = match get(url).await {
            Ok(response) => response,
            Err(failure) => {
                last = failure;
                continue;
            }
        };
        let status = response.status();
        if status == http::StatusCode::OK {
            return text(response).await;
        }
        let said = response.extensions().get::<hyper::ext::ReasonPhrase>().map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned());
        let said = said.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_owned());
        let code = status.as_u16();
        last = Failure::message(format!("unable to read URL {url:?}, server reported {code} {said}, status code={code}"));
        if !status.is_server_error() {
            break;
        }
    }
    Err(last)
}

async fn text(response: Response<Body>) -> Result<String, Failure> {
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    let bytes = body.map_err(|e| Failure::message(e.to_string()))?.to_bytes();
    String::from_utf8(bytes.into()).map_err(|_| Failure::message("the document is no text in UTF-8"))
}

/// The answer of the place that the URL leads to.
async fn get(url: &str) -> Result<Response<Body>, Failure> {
    let mut place = url.to_owned();
    for _ in 0..=REDIRECTS {
        let response = once(&place).await?;
        let next = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
        let Some(next) = next.and_then(|next| next.to_str().ok()) else { return Ok(response) };
        place = joined(&place, next)?;
    }
    Err(Failure::Text(format!("Unable to connect to the server: stopped after {REDIRECTS} redirects")))
}

/// Where a place refers to.
fn joined(from: &str, next: &str) -> Result<String, Failure> {
    if is_url(next) {
        return Ok(next.to_owned());
    }
    let (scheme, rest) = from.split_once("://").unwrap_or(("http", from));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(other) = next.strip_prefix("//") {
        return Ok(format!("{scheme}://{other}"));
    }
    let directory = path.split(['?', '#']).next().and_then(|path| path.rsplit_once('/')).map_or("", |(above, _)| above);
    match (next.strip_prefix('/'), directory) {
        (Some(path), _) => Ok(format!("{scheme}://{host}/{path}")),
        (None, "") => Ok(format!("{scheme}://{host}/{next}")),
        (None, directory) => Ok(format!("{scheme}://{host}/{directory}/{next}")),
    }
}

async fn once(place: &str) -> Result<Response<Body>, Failure> {
    let unable = |why: &str| Failure::Text(format!("Unable to connect to the server: {why}"));
    let uri: Uri = place.parse().map_err(|_| unable("http: no Host in request URL"))?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| unable("http: no Host in request URL"))?;
    let secure = uri.scheme_str() == Some("https");
    let address = format!("{host}:{}", uri.port_u16().unwrap_or(if secure { 443 } else { 80 }));
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let base = format!("{}://{authority}", if secure { "https" } else { "http" });
    let config = kube::Config::new(base.parse().map_err(|_| unable("http: no Host in request URL"))?);
    let client = kube::Client::try_from(config).map_err(|e| unable(&e.to_string()))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).body(Body::empty()).map_err(|e| unable(&e.to_string()))?;
    client.send(request).await.map_err(|error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        match text.contains("onnection refused") {
            true => Failure::Text(format!(
                "The connection to the server {address} was refused - did you specify the right host or port?"
            )),
            false => unable(&text),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lead_to_places() {
        for (next, place) in [
            ("https://b/y", "https://b/y"),
            ("//b/y", "http://b/y"),
            ("/y?z", "http://a:8/y?z"),
            ("y", "http://a:8/c/y"),
            ("../y", "http://a:8/c/../y"),
        ] {
            assert_eq!(joined("http://a:8/c/x?q=/r", next).expect("leads somewhere"), place);
        }
        assert_eq!(joined("http://a", "y").expect("leads somewhere"), "http://a/y");
    }
}
