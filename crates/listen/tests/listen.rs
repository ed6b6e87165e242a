//! Over loopback: crowds, bodies that nobody reads, clients that stop in the middle, HEAD.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use auth::pki::{Leaf, Pki, tls};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use listen::{Door, Line, Service};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use transport::Body;

/// Reads no body: `/refused` is too large for it, `/read` it reads to its end. `/endless` is an answer without end; when it
/// is given up, that is told.
struct Plain(Arc<Notify>);

/// An answer without end.
struct Endless(Arc<Notify>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = transport::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, transport::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 64 << 10])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Service for Plain {
    type Peer = ();

    fn peer(&self, chain: &[CertificateDer<'_>]) -> ((), bool) {
        ((), !chain.is_empty())
    }

    async fn answer(self: Arc<Self>, request: Request<Body>, _: Arc<()>, _: Arc<Line>) -> Response<Body> {
        let code = match request.uri().path() {
            "/refused" => StatusCode::PAYLOAD_TOO_LARGE,
            "/read" => {
                let bytes = request.into_body().collect().await.expect("body").to_bytes();
                return Response::new(transport::full(bytes.len().to_string()));
            }
            "/query" => {
                let query = transport::long::query(request.uri(), request.extensions()).len();
                return Response::new(transport::full(format!("{query} and {}", request.headers().len())));
            }
            "/endless" => return Response::new(Body::new(Endless(self.0.clone()))),
            _ => StatusCode::OK,
        };
        let mut response = Response::new(transport::full("a word"));
        *response.status_mut() = code;
        response
    }
}

struct Bench {
    address: SocketAddr,
    admin: Arc<rustls::ClientConfig>,
    nobody: Arc<rustls::ClientConfig>,
    /// An answer without end was given up.
    given_up: Arc<Notify>,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn new(most: usize) -> Bench {
        let directory = tempfile::tempdir().expect("directory");
        let pki = Arc::new(Pki::open(directory.path(), jiff::Timestamp::now()).expect("keys"));
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = TcpListener::bind((loopback, 0)).await.expect("binds");
        let address = listener.local_addr().expect("address");
        let tls = tls::server_config(&pki, Leaf::api_server("localhost", "cluster.local", &[loopback])).expect("certificate");
        let door = Door { listener, tls, most, grace: Duration::ZERO };
        let given_up = Arc::new(Notify::new());
        tokio::spawn(listen::serve(door, Arc::new(Plain(given_up.clone())), CancellationToken::new()));
        let admin = tls::client_config(&pki, Leaf::admin()).expect("certificate");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(pki.cluster().certificate().clone()).expect("authority");
        let builder = rustls::ClientConfig::builder_with_provider(tls::provider());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let nobody = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Bench { address, admin, nobody, given_up, _directory: directory }
    }

    async fn connect(&self, config: &Arc<rustls::ClientConfig>, protocol: &str) -> TlsStream<TcpStream> {
        let mut config = (**config).clone();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await.expect("connects");
        let name = ServerName::IpAddress(self.address.ip().into());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("shakes hands")
    }
}

fn request(method: Method, uri: &str, length: usize) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(uri).header("host", "localhost");
    request.body(Full::new(Bytes::from(vec![b'x'; length]))).expect("request")
}

const BODIES: [usize; 4] = [10_000, 200_000, 1_000_000, 6_000_000];

#[tokio::test]
async fn whoever_sends_too_much_hears_it_over_http1() {
    let bench = Bench::new(100).await;
    for length in BODIES.repeat(5) {
        let mut stream = bench.connect(&bench.admin, "http/1.1").await;
        let head = format!("POST /refused HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        // As simple clients do: everything is sent before anything is read.
        stream.write_all(head.as_bytes()).await.expect("writes");
        let _ = stream.write_all(&vec![b'x'; length]).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"a word") {
            let read = stream.read_buf(&mut answer).await.unwrap_or(0);
            assert!(read > 0, "{length}: {}", String::from_utf8_lossy(&answer));
        }
        assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
        let closes = String::from_utf8_lossy(&answer).contains("connection: close");
        assert_eq!(closes, length > 256 << 10, "{length}");
    }
}

#[tokio::test]
async fn whoever_sends_too_much_hears_it_over_http2() {
    let bench = Bench::new(100).await;
    let stream = TokioIo::new(bench.connect(&bench.admin, "h2").await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("speaks HTTP");
    tokio::spawn(connection);
    for length in BODIES.repeat(5) {
        let uri = format!("https://{}/refused", bench.address);
        let response = client.send_request(request(Method::POST, &uri, length)).await.expect("answers");
        assert_eq!((response.status(), response.version()), (StatusCode::PAYLOAD_TOO_LARGE, Version::HTTP_2));
        assert_eq!(response.into_body().collect().await.expect("body").to_bytes(), "a word");
    }
    let uri = format!("https://{}/read", bench.address);
    let response = client.send_request(request(Method::POST, &uri, 6_000_000)).await.expect("the connection is still good");
    assert_eq!(response.into_body().collect().await.expect("body").to_bytes(), "6000000");
}

#[tokio::test]
async fn head_is_answered_without_a_body_in_both_versions() {
    let bench = Bench::new(100).await;
    let stream = TokioIo::new(bench.connect(&bench.admin, "h2").await);
    let (mut two, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("speaks HTTP");
    tokio::spawn(connection);
    let stream = TokioIo::new(bench.connect(&bench.admin, "http/1.1").await);
    let (mut one, connection) = http1::handshake(stream).await.expect("speaks HTTP");
    tokio::spawn(connection);
    for _ in 0..3 {
        let answers = [
            two.send_request(request(Method::HEAD, &format!("https://{}/", bench.address), 0)).await.expect("answers"),
            one.send_request(request(Method::HEAD, "/", 0)).await.expect("answers"),
        ];
        for answer in answers {
            assert_eq!((answer.status(), &answer.headers()["content-length"]), (StatusCode::OK, &"6".parse().expect("value")));
            assert!(answer.into_body().collect().await.expect("body").to_bytes().is_empty());
        }
    }
}

/// A request over HTTP/2 whose head has that many fields of that length.
fn heavy(address: SocketAddr, fields: usize, length: usize) -> Request<Full<Bytes>> {
    let mut request = request(Method::POST, &format!("https://{address}/read"), 3);
    for _ in 0..fields {
        request.headers_mut().append("x-more", "x".repeat(length).parse().expect("value"));
    }
    request
}

#[tokio::test]
async fn a_head_that_is_too_long_is_answered_and_harms_no_other_request_of_its_connection() {
    let bench = Bench::new(100).await;
    let stream = TokioIo::new(bench.connect(&bench.admin, "h2").await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("speaks HTTP");
    tokio::spawn(connection);
    // One that is under way all the time.
    let endless = client.send_request(request(Method::GET, &format!("https://{}/endless", bench.address), 0)).await;
    let mut endless = endless.expect("answers").into_body();
    for (fields, length) in [(1, 60_000), (1, 70_000), (1, 300_000), (1, 1_000_000), (3, 50_000), (900, 1_000), (1, 60_000)].repeat(2) {
        let response = client.send_request(heavy(bench.address, fields, length)).await.expect("answers");
        let (code, bytes) = (response.status().as_u16(), response.into_body().collect().await.expect("body").to_bytes());
        let wanted = if fields * length > 64 << 10 { (431, "431 Request Header Fields Too Large") } else { (200, "3") };
        assert_eq!((code, bytes.as_ref()), (wanted.0, wanted.1.as_bytes()), "{fields} of {length}");
        assert!(endless.frame().await.expect("goes on").is_ok(), "{fields} of {length}");
    }
}

/// Asks over HTTP/2, frame by frame, since no library here takes such a path. What is said, in the order of the requests.
async fn raw(bench: &Bench, paths: &[String]) -> Vec<String> {
    let mut stream = bench.connect(&bench.admin, "h2").await;
    let frame = |kind: u8, flags: u8, id: u32, content: &[u8]| {
        let length = u32::try_from(content.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags], &id.to_be_bytes(), content].concat()
    };
    let mut bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    for (number, path) in (0u32..).zip(paths) {
        // GET, https, the path as it is, and an authority.
        let mut fields = vec![0x82, 0x87, 0x04, 0x7f];
        let mut left = path.len() - 0x7f;
        while left >= 0x80 {
            fields.push(u8::try_from(left & 0x7f | 0x80).expect("a byte"));
            left >>= 7;
        }
        fields.push(u8::try_from(left).expect("a byte"));
        fields.extend_from_slice(path.as_bytes());
        fields.extend_from_slice(b"\x01\x01a");
        let parts: Vec<&[u8]> = fields.chunks(16_000).collect();
        for (at, part) in parts.iter().enumerate() {
            let (kind, flags) = if at == 0 { (1, 1) } else { (9, 0) };
            bytes.extend(frame(kind, flags | if at + 1 == parts.len() { 4 } else { 0 }, 1 + 2 * number, part));
        }
    }
    stream.write_all(&bytes).await.expect("writes");
    let mut said = vec![String::new(); paths.len()];
    let mut open = paths.len();
    while open > 0 {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut content).await.expect("its content");
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) as usize;
        assert!(head[3] != 7 && head[3] != 3, "the connection or a request is ended: {head:?} {}", String::from_utf8_lossy(&content));
        if head[3] == 0 {
            said[id / 2] += &String::from_utf8_lossy(&content);
        }
        open -= usize::from(head[3] <= 1 && head[4] & 1 != 0);
    }
    said
}

#[tokio::test]
async fn a_path_that_is_longer_than_a_uri_may_be_is_taken_over_http2() {
    let bench = Bench::new(100).await;
    let path = |length: usize| format!("/query?{}", "x".repeat(length));
    let paths = [path(200), path(40_000), path(70_000), path(1_000_000), path(1 << 20), format!("/{}", "x".repeat(70_000)), path(300)];
    let said = raw(&bench, &paths).await;
    let too_long = "431 Request Header Fields Too Large";
    assert_eq!(said, ["200 and 0", "40000 and 0", "70000 and 0", "1000000 and 0", too_long, "414 URI Too Long", "300 and 0"]);
}

#[tokio::test]
async fn a_crowd_of_strangers_locks_nobody_out() {
    let bench = Bench::new(16).await;
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(bench.connect(&bench.nobody, "http/1.1").await);
    }
    let mut friends = Vec::new();
    for _ in 0..8 {
        let stream = TokioIo::new(bench.connect(&bench.admin, "http/1.1").await);
        let (mut friend, connection) = http1::handshake(stream).await.expect("speaks HTTP");
        tokio::spawn(connection);
        assert_eq!(friend.send_request(request(Method::GET, "/", 0)).await.expect("answers").status(), StatusCode::OK);
        friends.push(friend);
    }
    for _ in 0..40 {
        crowd.push(bench.connect(&bench.nobody, "http/1.1").await);
    }
    for friend in &mut friends {
        friend.ready().await.expect("is still there");
        assert_eq!(friend.send_request(request(Method::GET, "/", 0)).await.expect("answers").status(), StatusCode::OK);
    }
}

/// Says a part of something as the administrator, after so many requests that were answered, and returns after how many
/// seconds the connection is ended.
async fn ends_after(requests: usize, said: &str) -> u64 {
    let bench = Bench::new(100).await;
    let mut stream = bench.connect(&bench.admin, "http/1.1").await;
    for _ in 0..requests {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("writes");
        let mut answer = Vec::new();
        while !answer.ends_with(b"a word") {
            assert!(stream.read_buf(&mut answer).await.expect("answers") > 0);
        }
    }
    stream.write_all(said.as_bytes()).await.expect("writes");
    stream.flush().await.expect("writes");
    // From here on nothing happens but that time passes.
    tokio::time::pause();
    let began = Instant::now();
    // The end may be told, or just happen.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    began.elapsed().as_secs()
}

#[tokio::test]
async fn whoever_says_nothing_loses_the_connection() {
    assert!((30..=64).contains(&ends_after(0, "").await));
}

#[tokio::test]
async fn whoever_says_nothing_more_loses_the_connection_later() {
    assert!((85..=100).contains(&ends_after(1, "").await));
}

#[tokio::test]
async fn whoever_stops_in_the_middle_of_a_head_loses_the_connection() {
    assert!((30..=64).contains(&ends_after(0, "GET / HTTP/1.1\r\nhost: ").await));
}

#[tokio::test]
async fn whoever_stops_in_the_middle_of_the_next_head_loses_the_connection() {
    assert!((30..=64).contains(&ends_after(2, "GET / HTT").await));
}

#[tokio::test]
async fn whoever_does_not_take_an_answer_loses_it_and_the_connection() {
    for protocol in ["http/1.1", "h2"] {
        let bench = Bench::new(100).await;
        let stream = bench.connect(&bench.admin, protocol).await;
        let response = if protocol == "h2" {
            let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("speaks HTTP");
            tokio::spawn(connection);
            client.send_request(request(Method::GET, &format!("https://{}/endless", bench.address), 0)).await
        } else {
            let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.expect("speaks HTTP");
            tokio::spawn(connection);
            client.send_request(request(Method::GET, "/endless", 0)).await
        };
        // The answer has begun, and nobody reads on.
        let response = response.expect("answers");
        tokio::time::pause();
        let began = Instant::now();
        bench.given_up.notified().await;
        let after = began.elapsed().as_secs();
        assert!((25..=60).contains(&after), "{protocol}: {after} s");
        tokio::time::resume();
        drop(response);
    }
}
