//! The stand-in for etcd that envtest starts before the API server: it keeps nothing, and says so by a mark, by which the
//! API server knows that it is to keep everything in memory.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Request, Response, StatusCode, Uri};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// The mark: a header of the answer to `/health`.
const MARK: HeaderName = HeaderName::from_static("x-ironclad-store");
/// What it says.
const MEMORY: &str = "memory";
/// How long an address may take to answer, and a client to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers at these URLs until it is told to end.
pub async fn serve(urls: &[Uri]) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut all = tokio::task::JoinSet::new();
    for url in urls {
        let address = address(url)?;
        let listener = TcpListener::bind(&address).await.with_context(|| format!("listen at {address}"))?;
        all.spawn(accept(listener));
    }
    tokio::select! {
        _ = all.join_next() => bail!("no more connections are taken"),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

async fn accept(listener: TcpListener) {
    loop {
        // Without descriptors there is nothing to do but to wait until some are free again.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut connection = hyper::server::conn::http1::Builder::new();
        connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        let answer = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), answer));
    }
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/health" => (StatusCode::OK, "{\"health\":\"true\",\"reason\":\"\"}"),
        _ => (StatusCode::NOT_FOUND, "404 page not found\n"),
    };
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(MARK, http::HeaderValue::from_static(MEMORY));
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    answer
}

/// Host and port of a URL as etcd takes one to listen at.
fn address(url: &Uri) -> Result<String> {
    ensure!(url.scheme_str() == Some("http"), "{url}: this program listens for http here, and for nothing else");
    let host = url.host().ok_or_else(|| anyhow!("{url} names no host"))?;
    let port = url.port_u16().ok_or_else(|| anyhow!("{url}: missing port in address"))?;
    Ok(format!("{host}:{port}"))
}

/// Whether the stand-in is at this URL. What is not, is refused: this program keeps its objects itself.
pub async fn check(url: &Uri) -> Result<()> {
    let refused = || {
        format!("--etcd-servers {url}: this program does not keep its objects in etcd: leave it out for a store in memory, \
             or name a directory with --data-dir")
    };
    if url.scheme_str() != Some("http") {
        bail!(refused());
    }
    let address = address(url)?;
    let answer = tokio::time::timeout(PATIENCE, ask(&address)).await;
    let answer = answer.map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs())).and_then(|answer| answer);
    let answer = answer.with_context(|| format!("--etcd-servers {url}: cannot be reached"))?;
    let mark = answer.headers().get(MARK).is_some_and(|mark| mark == MEMORY);
    if mark { Ok(()) } else { bail!(refused()) }
}

async fn ask(address: &str) -> Result<Response<Incoming>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/health").header("host", address).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await;
    connection.abort();
    Ok(answer?)
}

/// A URL as etcd takes one.
pub fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match url.scheme_str() {
        Some("http" | "https") => Ok(url),
        _ => Err("URL scheme must be http or https".to_owned()),
    }
}


#[cfg(test)]
mod tests {
    use super::*;

    async fn listening() -> (TcpListener, Uri) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("listens");
        let url = url(&format!("http://{}", listener.local_addr().expect("an address"))).expect("a URL");
        (listener, url)
    }

    #[tokio::test]
    async fn the_stand_in_is_known_by_its_mark() {
        let (listener, url) = listening().await;
        let serving = tokio::spawn(accept(listener));
        check(&url).await.expect("is known");
        serving.abort();
    }

    #[tokio::test]
    async fn etcd_itself_is_refused() {
        let (listener, url) = listening().await;
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = service_fn(|_| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{\"health\":\"true\",\"reason\":\"\"}"))))
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        let why = check(&url).await.expect_err("refused").to_string();
        assert!(why.contains("does not keep its objects in etcd"), "{why}");
        serving.abort();
        let secure = super::url(&url.to_string().replace("http:", "https:")).expect("a URL");
        assert!(check(&secure).await.is_err());
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let (listener, url) = listening().await;
        drop(listener);
        assert!(format!("{:#}", check(&url).await.expect_err("refused")).contains("cannot be reached"));
    }

    #[test]
    fn only_urls_are_urls() {
        assert!(["http://127.0.0.1:2379", "https://[::1]:2379/"].iter().all(|text| url(text).is_ok()));
        assert!(["127.0.0.1:2379", "ftp://a:1", ""].iter().all(|text| url(text).is_err()));
        assert!(address(&url("http://127.0.0.1").expect("a URL")).is_err());
    }
}
