//! Over the network: TLS, both HTTP versions, and streams that lead to a kubelet.

mod kit;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use auth::pki::{Leaf, tls};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::Kit;
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

async fn connect(kit: &Kit, address: SocketAddr, protocol: &str) -> TlsStream<TcpStream> {
    let config = tls::client_config(&kit.pki, Leaf::admin()).expect("certificate");
    let mut config = rustls::ClientConfig::clone(&config);
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.expect("connects");
    let name = ServerName::try_from("127.0.0.1").expect("name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    stream
}

async fn http1(kit: &Kit, address: SocketAddr) -> http1::SendRequest<Full<Bytes>> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(connect(kit, address, "http/1.1").await)).await.expect("http");
    tokio::spawn(connection.with_upgrades());
    sender
}

fn request(uri: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::builder().uri(uri).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).expect("request")
}

async fn text(response: Response<Incoming>) -> (StatusCode, String) {
    let code = response.status();
    let body = response.into_body().collect().await.expect("body").to_bytes();
    (code, String::from_utf8_lossy(&body).into_owned())
}

/// Answers logs with two lines, and repeats in capitals what it is sent after an upgrade.
async fn kubelet(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = request.uri().to_string();
    assert!(request.headers().get("authorization").is_none());
    if asked.starts_with("/containerLogs/") {
        return Ok(Response::new(Full::from(format!("{asked}\n"))));
    }
    tokio::spawn(async move {
        let mut stream = TokioIo::new(hyper::upgrade::on(request).await.expect("upgrades"));
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.expect("reads");
        stream.write_all(&said.to_ascii_uppercase()).await.expect("writes");
    });
    let response = Response::builder().status(101).header("connection", "Upgrade").header("upgrade", "websocket");
    Ok(response.header("x-asked", asked).body(Full::default()).expect("response"))
}

/// A node whose kubelet is [`kubelet`], and a pod on it.
async fn node_and_pod(kit: &Kit) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("binds");
    let port = listener.local_addr().expect("address").port();
    let leaf = Leaf::kubelet_server("n1", &[Ipv4Addr::LOCALHOST.into()]);
    let acceptor = TlsAcceptor::from(tls::server_config(&kit.pki, leaf).expect("certificate"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = TokioIo::new(acceptor.accept(stream).await.expect("handshake"));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(stream, service_fn(kubelet));
            tokio::spawn(connection.with_upgrades());
        }
    });
    kit.post("/api/v1/nodes", json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})).await;
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    let merge = [("content-type", "application/merge-patch+json")];
    let patched = kit.ask(Method::PATCH, "/api/v1/nodes/n1/status", &merge, status.to_string()).await;
    assert_eq!(patched.code, StatusCode::OK, "{}", patched.text());
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}});
    let created = kit.post("/api/v1/namespaces/default/pods", pod).await;
    assert_eq!(created.code, StatusCode::CREATED, "{}", created.text());
}

#[tokio::test]
async fn both_versions_of_http_know_the_certificate() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let address = kit.listen(0).await;
    let mut one = http1(&kit, address).await;
    let (code, body) = text(one.send_request(request("/api/v1/namespaces/default", &[])).await.expect("answers")).await;
    assert_eq!(code, StatusCode::OK, "{body}");
    let refused = one.send_request(request("/api", &[("authorization", "Bearer nonsense")])).await.expect("answers");
    assert_eq!(refused.status(), StatusCode::OK, "the certificate is enough");

    let stream = TokioIo::new(connect(&kit, address, "h2").await);
    let (mut two, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("http");
    tokio::spawn(connection);
    let uri = format!("https://{address}/apis/authentication.k8s.io/v1/selfsubjectreviews");
    let review = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    let review =
        Request::builder().method(Method::POST).uri(uri).body(Full::new(Bytes::from(review))).expect("request");
    let (code, body) = text(two.send_request(review).await.expect("answers")).await;
    assert_eq!(code, StatusCode::CREATED, "{body}");
    assert!(body.contains("kubernetes-admin"), "{body}");

    // A head that is too long is told so, and the connection is as good as before.
    let uri = format!("https://{address}/version");
    for (length, wanted) in [(10, StatusCode::OK), (100_000, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)].repeat(2) {
        let built = Request::builder().uri(&uri).header("x-long", "x".repeat(length)).body(Full::new(Bytes::new()));
        let (code, body) = text(two.send_request(built.expect("request")).await.expect("answers")).await;
        assert_eq!((code, body.contains(r#""message":"Request Header Fields Too Large""#)), (wanted, length > 10), "{body}");
    }
}

#[tokio::test]
async fn logs_and_exec_lead_to_the_kubelet() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    node_and_pod(&kit).await;
    let logs = kit.get("/api/v1/namespaces/default/pods/p/log?tailLines=5&container=c").await;
    assert_eq!(logs.text(), "/containerLogs/default/p/c?tailLines=5\n");
    let other = kit.get("/api/v1/namespaces/default/pods/p/log?container=x").await;
    assert_eq!(other.json()["message"], "container x is not valid for pod p");

    let mut client = http1(&kit, kit.listen(0).await).await;
    let path = "/api/v1/namespaces/default/pods/p/exec?command=a&command=b%20c&stdin=true&stdout=true&stderr=false";
    let plain = client.send_request(request(path, &[])).await.expect("answers");
    let (code, body) = text(plain).await;
    assert!(code == StatusCode::BAD_REQUEST && body.contains("Upgrade request required"), "{code} {body}");
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket")];
    let mut response = client.send_request(request(path, &upgrade)).await.expect("answers");
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()["x-asked"], "/exec/default/p/c?input=1&output=1&command=a&command=b+c");
    let mut stream = TokioIo::new(hyper::upgrade::on(&mut response).await.expect("upgrades"));
    stream.write_all(b"hello").await.expect("writes");
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.expect("reads");
    assert_eq!(&heard, b"HELLO");
}

#[tokio::test]
async fn a_server_that_stops_ends_its_watches_and_connections() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let mut client = http1(&kit, kit.listen(0).await).await;
    let response =
        client.send_request(request("/api/v1/namespaces?watch=1&resourceVersion=0", &[])).await.expect("answers");
    let mut body = response.into_body();
    assert!(body.frame().await.expect("the first objects").is_ok());
    kit.server.stop();
    while let Some(frame) = body.frame().await {
        frame.expect("ends well");
    }
}

/// A WebSocket on which the server speaks.
async fn socket(
    kit: &Kit, address: SocketAddr, path: &str, accept: &str, protocol: &str,
) -> WebSocketStream<TlsStream<TcpStream>> {
    let mut request = format!("wss://{address}{path}").into_client_request().expect("a request");
    let headers = request.headers_mut();
    headers.insert("accept", accept.parse().expect("a header"));
    if !protocol.is_empty() {
        headers.insert("sec-websocket-protocol", protocol.parse().expect("a header"));
    }
    let stream = connect(kit, address, "http/1.1").await;
    let (socket, answer) = tokio_tungstenite::client_async(request, stream).await.expect("switches");
    let agreed = answer.headers().get("sec-websocket-protocol").map(|v| v.to_str().expect("text"));
    assert_eq!(agreed.unwrap_or_default(), protocol);
    socket
}

async fn told(socket: &mut WebSocketStream<TlsStream<TcpStream>>) -> Message {
    socket.next().await.expect("goes on").expect("a message")
}

#[tokio::test]
async fn a_watch_over_a_websocket_has_an_event_in_each_message() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let address = kit.listen(0).await;
    let path = "/api/v1/namespaces/default/configmaps?watch=1";
    for name in ["a", "b"] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        kit.post("/api/v1/namespaces/default/configmaps", object).await;
    }
    // Both are there already, and may well be sent at once.
    let mut watch = socket(&kit, address, path, "application/json", "").await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let Message::Text(text) = told(&mut watch).await else { panic!("no text") };
        assert!(text.ends_with("}\n") && !text.trim_end().contains('\n'));
        let event: serde_json::Value = serde_json::from_str(&text).expect("one event");
        assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("ADDED"), &json!("ConfigMap")));
        names.push(event["object"]["metadata"]["name"].clone());
    }
    assert_eq!(names, ["a", "b"]);
    watch.send(Message::text("nobody listens")).await.expect("is taken");
    watch.send(Message::Ping(Bytes::from_static(b"x"))).await.expect("is taken");
    assert_eq!(told(&mut watch).await, Message::Pong(Bytes::from_static(b"x")));
    // The client says goodbye, and is answered.
    watch.close(None).await.expect("is taken");
    assert!(matches!(told(&mut watch).await, Message::Close(_)));
    assert!(watch.next().await.is_none_or(|end| end.is_err()));

    let protobuf = "application/vnd.kubernetes.protobuf;stream=watch";
    let mut watch = socket(&kit, address, path, protobuf, "anything").await;
    let Message::Binary(event) = told(&mut watch).await else { panic!("no bytes") };
    // Field 1, "ADDED": without the length that a stream of bytes has before it.
    assert_eq!(event[..7], *b"\x0a\x05ADDED");

    // What cannot be watched is refused as ever.
    let mut request = format!("wss://{address}/api/v1/nothing?watch=1").into_client_request().expect("a request");
    request.headers_mut().insert("accept", "application/json".parse().expect("a header"));
    let refused = tokio_tungstenite::client_async(request, connect(&kit, kit.listen(0).await, "http/1.1").await).await;
    assert!(refused.is_err());

    // The server says goodbye, when the watch ends by itself and when the server does.
    let mut short = socket(&kit, address, &format!("{path}&timeoutSeconds=1&resourceVersion=0"), "*/*", "").await;
    for _ in 0..2 {
        assert!(told(&mut short).await.is_text());
    }
    kit.server.stop();
    for socket in [&mut short, &mut watch] {
        let end = loop {
            if let Message::Close(end) = told(socket).await {
                break end;
            }
        };
        assert_eq!(end.expect("says why").code, CloseCode::Normal);
    }
}

/// Sends the head of a create with a body of a thousand bytes, and the first of them.
async fn dawdle(kit: &Kit, address: SocketAddr) -> TlsStream<TcpStream> {
    let mut stream = connect(kit, address, "http/1.1").await;
    let head = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("writes");
    stream.flush().await.expect("sends");
    stream
}

#[tokio::test]
async fn bodies_that_do_not_come_stop_nobody() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let address = kit.listen(0).await;
    // More than the level has seats, and more than its queues hold.
    let mut slow = Vec::new();
    for _ in 0..400 {
        slow.push(dawdle(&kit, address).await);
    }
    let mut client = http1(&kit, address).await;
    for name in 0..5 {
        let map = json!({"metadata": {"name": format!("m{name}")}});
        let request = Request::builder().method(Method::POST).uri("/api/v1/namespaces/default/configmaps");
        let request = request.header("host", "a").body(Full::new(Bytes::from(map.to_string()))).expect("request");
        let answer = tokio::time::timeout(std::time::Duration::from_secs(5), client.send_request(request)).await;
        let (code, body) = text(answer.expect("nobody waits for the slow").expect("answers")).await;
        assert_eq!(code, StatusCode::CREATED, "{body}");
    }
    let mut first = slow.swap_remove(0);
    let mut answer = Vec::new();
    while !answer.windows(4).any(|w| w == b"time") && first.read_buf(&mut answer).await.expect("an answer") > 0 {}
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn who_may_not_hears_it_before_a_body_is_read() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let address = kit.listen(0).await;
    let config = tls::client_config(&kit.pki, Leaf::scheduler()).expect("certificate");
    let mut config = rustls::ClientConfig::clone(&config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.expect("connects");
    let name = ServerName::try_from("127.0.0.1").expect("name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("handshake");
    let head = "POST /api/v1/namespaces/default/secrets HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("writes");
    let mut answer = Vec::new();
    while !answer.ends_with(b"}\n") && !answer.ends_with(b"}") {
        assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "{}", String::from_utf8_lossy(&answer));
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn whoever_stops_in_the_middle_of_a_body_hears_that_it_is_late() {
    let directory = tempfile::tempdir().expect("a directory");
    let kit = Kit::new(directory.path()).await;
    let address = kit.listen(0).await;
    let mut stream = connect(&kit, address, "http/1.1").await;
    let head = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 1000\r\n\r\n{\"kind\":";
    stream.write_all(head.as_bytes()).await.expect("writes");
    stream.flush().await.expect("writes");
    // From here on nothing happens but that time passes.
    tokio::time::pause();
    let (began, mut answer) = (tokio::time::Instant::now(), Vec::new());
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut answer).await.expect("answers") > 0);
    }
    let (answer, took) = (String::from_utf8_lossy(&answer), began.elapsed().as_secs());
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!((5..=40).contains(&took), "{took} s");
}
