//! One GET from the node, for probes and hooks (upstream: `probe/http`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

/// Bytes of a body that are read.
const LONGEST_BODY: usize = 10 * 1024;
const MOST_REDIRECTS: usize = 10;

/// Where to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Over TLS; the certificate is not verified.
    pub https: bool,
    /// Address or name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query.
    pub path: String,
    /// Headers, in order; `Host` replaces the default.
    pub headers: Vec<(String, String)>,
    /// `User-Agent`, unless the headers have one.
    pub user_agent: &'static str,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The beginning of the body.
    pub body: String,
}

impl Target {
    /// The whole URL.
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        format!("{scheme}://{}{slash}{}", self.authority(), self.path)
    }

    /// Where a `Location` leads from here; nowhere if that is another host, which a probe does not ask.
    fn redirected(&self, location: &str) -> Result<Option<Target>, String> {
        let here = Url::parse(&self.url()).map_err(|e| e.to_string())?;
        let there = here.join(location).map_err(|e| format!("failed to parse Location header {location:?}: {e}"))?;
        if there.host_str() != here.host_str() {
            return Ok(None);
        }
        let https = match there.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("unsupported protocol scheme {other:?}")),
        };
        let mut next = self.clone();
        next.https = https;
        next.port = there.port_or_known_default().unwrap_or(self.port);
        next.path = there[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        if Url::parse(location).is_ok() {
            // Who names a host is asked by that name.
            next.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        }
        Ok(Some(next))
    }

    fn authority(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

/// Asks, follows redirects on the same host, and gives up after `limit`. The error reads like Go's.
pub async fn get(target: &Target, limit: Duration) -> Result<Answer, String> {
    let url = target.url();
    let wrap = |error: String| format!("Get {url:?}: {error}");
    match tokio::time::timeout(limit, follow(target.clone())).await {
        Ok(result) => result.map_err(wrap),
        Err(_) => Err(wrap("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned())),
    }
}

async fn follow(mut target: Target) -> Result<Answer, String> {
    for _ in 0..=MOST_REDIRECTS {
        let (answer, location) = once(&target).await?;
        let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        let Some(location) = location.filter(|_| redirects) else { return Ok(answer) };
        match target.redirected(&location)? {
            Some(next) => target = next,
            None => return Ok(answer),
        }
    }
    Err(format!("stopped after {MOST_REDIRECTS} redirects"))
}

async fn once(target: &Target) -> Result<(Answer, Option<String>), String> {
    let stream = super::tcp::connect(&target.host, target.port, Duration::from_secs(3600)).await?;
    if !target.https {
        return exchange(stream, target).await;
    }
    let name = ServerName::try_from(target.host.clone()).map_err(|e| e.to_string())?;
    // A probe asks whether someone answers, not who.
    let trusting = auth::pki::unverified::config().map_err(|e| e.to_string())?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting));
    let stream = connector.connect(name, stream).await.map_err(|e| e.to_string())?;
    exchange(stream, target).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S, target: &Target,
) -> Result<(Answer, Option<String>), String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let driver = tokio::spawn(connection);
    let result = async {
        let response = sender.send_request(request(target)?).await.map_err(text)?;
        let status = response.status().as_u16();
        let location = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok()).map(str::to_owned);
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(text)?.into_data() {
                bytes.extend_from_slice(&data);
            }
            if bytes.len() >= LONGEST_BODY {
                bytes.truncate(LONGEST_BODY);
                break;
            }
        }
        Ok((Answer { status, body: String::from_utf8_lossy(&bytes).into_owned() }, location))
    };
    let result = result.await;
    driver.abort();
    result
}

fn request(target: &Target) -> Result<Request<Empty<Bytes>>, String> {
    let path = if target.path.starts_with('/') { target.path.clone() } else { format!("/{}", target.path) };
    let mut builder = Request::get(path).header(header::CONNECTION, "close");
    let given = |name: &str| target.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !given("host") {
        builder = builder.header(header::HOST, target.authority());
    }
    if !given("user-agent") {
        builder = builder.header(header::USER_AGENT, target.user_agent);
    }
    if !given("accept") {
        builder = builder.header(header::ACCEPT, "*/*");
    }
    // An empty value takes the header away, as upstream's does.
    for (name, value) in target.headers.iter().filter(|(_, value)| !value.is_empty()) {
        builder = builder.header(name, value);
    }
    builder.body(Empty::new()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_the_standard_says() {
        let headers = vec![("Host".to_owned(), "example.com".to_owned())];
        let from = |host: &str, path: &str| Target {
            https: false,
            host: host.to_owned(),
            port: 8080,
            path: path.to_owned(),
            headers: headers.clone(),
            user_agent: "",
        };
        let to = |host: &str, path: &str, location: &str| {
            from(host, path).redirected(location).map(|next| next.map(|n| (n.url(), n.headers.len())))
        };
        for (host, path, location, want) in [
            ("192.0.2.1", "/a/b?x", "c", Some(("http://192.0.2.1:8080/a/c", 1))),
            ("192.0.2.1", "a/b", "../c/./d", Some(("http://192.0.2.1:8080/c/d", 1))),
            ("192.0.2.1", "/a/b", "?y=1#z", Some(("http://192.0.2.1:8080/a/b?y=1", 1))),
            ("192.0.2.1", "/a", "//192.0.2.1/b", Some(("http://192.0.2.1:80/b", 1))),
            ("192.0.2.1", "/a", "https://192.0.2.1/b", Some(("https://192.0.2.1:443/b", 0))),
            ("192.0.2.1", "/a", "HTTP://192.0.2.1:99", Some(("http://192.0.2.1:99/", 0))),
            ("2001:db8::1", "/a", "/b", Some(("http://[2001:db8::1]:8080/b", 1))),
            ("192.0.2.1", "/a", "//192.0.2.2/b", None),
            ("192.0.2.1", "/a", "http://other/b", None),
        ] {
            assert_eq!(to(host, path, location), Ok(want.map(|(url, n)| (url.to_owned(), n))), "{location}");
        }
        assert_eq!(to("192.0.2.1", "/", "ftp://192.0.2.1/"), Err("unsupported protocol scheme \"ftp\"".to_owned()));
        assert!(to("192.0.2.1", "/", "http://[").is_err_and(|e| e.starts_with("failed to parse Location header")));
    }
}
