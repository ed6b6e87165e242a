//! The agent's server, over TLS, with real certificates.

use std::sync::Arc;
use std::time::Duration;

use auth::authn::x509::Certificates;
use auth::pki::{Leaf, Pki, tls};
use futures::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::life::{CONFIG_MAP, POD, World, config_map, pod};

struct Port {
    address: std::net::SocketAddr,
    pki: Arc<Pki>,
    _dir: tempfile::TempDir,
}

async fn serve(world: &World) -> Port {
    let dir = tempfile::tempdir().expect("directory");
    let pki = Arc::new(Pki::open(dir.path(), Timestamp::now()).expect("an authority"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = crate::server::Serving {
        listener,
        tls: tls::server_config(&pki, Leaf::kubelet_server("n1", &[address.ip()])).expect("a configuration"),
        clients: Certificates::new(&[pki.cluster().certificate().clone()]).expect("a verifier"),
    };
    tokio::spawn(crate::server::serve(world.agent.clone(), serving, world.stop.clone()));
    Port { address, pki, _dir: dir }
}

impl Port {
    async fn connect(&self, leaf: Leaf) -> TlsStream<TcpStream> {
        self.connect_for(leaf, &[]).await
    }

    async fn connect_for(&self, leaf: Leaf, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut config = (*tls::client_config(&self.pki, leaf).expect("a configuration")).clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let name = rustls::pki_types::ServerName::from(self.address.ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("shakes hands")
    }

    async fn get(&self, leaf: Leaf, path: &str) -> String {
        let mut stream = self.connect(leaf).await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer
    }
}

#[tokio::test]
async fn only_who_may_gets_in_and_exec_ends_with_its_code() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "i"));
    world.phase("Running").await;
    let port = serve(&world).await;
    assert!(port.get(Leaf::super_admin(), "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(port.get(Leaf::front_proxy_client(), "/healthz").await.starts_with("HTTP/1.1 401"));
    let refused = port.get(Leaf::scheduler(), "/exec/ns/p/a?command=x&input=1&output=1").await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    assert!(refused.contains("Forbidden (user=system:kube-scheduler, verb=get, resource=nodes, subresource(s)=[proxy])"));
    std::fs::create_dir(world.dir.path().join("system-logs")).expect("made");
    std::fs::write(world.dir.path().join("system-logs/syslog"), "a line").expect("written");
    let shown = port.get(Leaf::super_admin(), "/logs/syslog").await;
    assert!(shown.starts_with("HTTP/1.1 200") && shown.ends_with("a line"), "{shown}");
    let refused = port.get(Leaf::scheduler(), "/logs/syslog").await;
    assert!(refused.contains("Forbidden (user=system:kube-scheduler, verb=get, resource=nodes, subresource(s)=[log])"), "{refused}");

    let path = format!("wss://{}/exec/ns/p/a?command=cat&input=1&output=1&error=1", port.address);
    let mut request = path.into_client_request().expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", "v5.channel.k8s.io".parse().expect("a header"));
    let stream = port.connect(Leaf::super_admin()).await;
    let (mut socket, answer) = tokio_tungstenite::client_async(request, stream).await.expect("switched");
    assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "v5.channel.k8s.io");
    socket.send(Message::Binary(Bytes::from_static(b"\x00hello"))).await.expect("sent");
    socket.send(Message::Binary(Bytes::from_static(b"\xff\x00"))).await.expect("sent");
    let (mut out, mut status) = (Vec::new(), Value::Null);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(data) = message else { break };
        match data.split_first() {
            Some((1, data)) => out.extend_from_slice(data),
            Some((3, data)) => status = serde_json::from_slice(data).expect("a status"),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(out, b"hello");
    assert_eq!((&status["reason"], &status["details"]["causes"][0]["message"]), (&"NonZeroExitCode".into(), &"3".into()));
    world.stop.cancel();
}

/// What a session answers over a WebSocket whose request is written by hand: its first line is longer than a URI may be.
async fn said(port: &Port, path: &str, input: &[&'static [u8]]) -> (Vec<u8>, Value) {
    let mut stream = port.connect(Leaf::super_admin()).await;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: n1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    for message in input {
        socket.send(Message::Binary(Bytes::from_static(message))).await.expect("sent");
    }
    let (mut out, mut status) = (Vec::new(), Value::Null);
    while let Some(Ok(Message::Binary(data))) = socket.next().await {
        match data.split_first() {
            Some((1, data)) => out.extend_from_slice(data),
            Some((3, data)) => status = serde_json::from_slice(data).expect("a status"),
            other => panic!("unexpected {other:?}"),
        }
    }
    (out, status)
}

#[tokio::test]
async fn a_command_may_be_as_long_as_a_head() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "i"));
    world.phase("Running").await;
    let port = serve(&world).await;
    for count in [1, 1000, 60_000] {
        let words = "&command=w%26rd".repeat(count);
        let path = format!("/exec/ns/p/a?output=1&command=count{words}");
        let (out, status) = said(&port, &path, &[]).await;
        assert_eq!(String::from_utf8_lossy(&out), (5 + 4 * count).to_string());
        assert_eq!(status["status"], "Success");
    }
    let refused = port.get(Leaf::super_admin(), &format!("/exec/ns/p/a?output=1&command={}", "x".repeat(1 << 20))).await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    world.stop.cancel();
}

#[tokio::test]
async fn who_is_attached_leaves_with_its_input() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "i"));
    world.phase("Running").await;
    let port = serve(&world).await;
    let (_, status) = said(&port, "/attach/ns/p/a?input=1&output=1", &[b"\x00hello", b"\xff\x00"]).await;
    // The program would have ended with code 3.
    assert_eq!(status["status"], "Success");
    world.stop.cancel();
}

#[tokio::test]
async fn whoever_says_goodbye_is_answered_while_the_command_runs() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "i"));
    world.phase("Running").await;
    let port = serve(&world).await;
    let path = format!("wss://{}/exec/ns/p/a?command=deaf&input=1&output=1&error=1", port.address);
    for protocol in ["v5.channel.k8s.io", "v4.channel.k8s.io"] {
        let mut request = path.as_str().into_client_request().expect("a request");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().expect("a header"));
        let stream = port.connect(Leaf::super_admin()).await;
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("switched");
        socket.close(None).await.expect("sent");
        let answer = async {
            loop {
                match socket.next().await {
                    // Channels begin with an empty message.
                    Some(Ok(Message::Binary(_))) => {}
                    other => return other,
                }
            }
        };
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("is answered");
        assert!(matches!(answer, Some(Ok(Message::Close(_)))), "{answer:?}");
    }
    world.stop.cancel();
}

#[tokio::test]
async fn head_over_http2_has_no_body() {
    let world = World::start();
    let port = serve(&world).await;
    let stream = TokioIo::new(port.connect_for(Leaf::super_admin(), &["h2"]).await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("speaks HTTP");
    tokio::spawn(connection);
    for path in ["/metrics", "/healthz", "/nothing"] {
        let uri = format!("https://{}{path}", port.address);
        let request = http::Request::builder().method("HEAD").uri(uri).body(transport::empty()).expect("a request");
        let answer = client.send_request(request).await.expect("answered");
        assert!(!answer.headers()["content-length"].is_empty(), "{path}");
        assert!(answer.into_body().collect().await.expect("no error").to_bytes().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn figures_of_the_node_and_its_pods() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    world.api.put(POD, pod("Always", "i"));
    let ready = |o: Option<&Value>| o.is_some_and(|o| o["status"]["conditions"][2]["status"] == "True");
    world.until(POD, "a ready pod", ready).await;
    let port = serve(&world).await;
    let body = async |path: &str| {
        let answer = port.get(Leaf::super_admin(), path).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        body.to_owned()
    };
    let json = async |path: &str| serde_json::from_str::<Value>(&body(path).await).expect("JSON");
    let summary = json("/stats/summary").await;
    let node = &summary["node"];
    assert_eq!(node["nodeName"], "n1");
    assert!(node["memory"]["availableBytes"].as_u64() > Some(0) && node["cpu"]["usageCoreNanoSeconds"].as_u64() > Some(0));
    assert!(node["fs"]["capacityBytes"].as_u64() > node["fs"]["availableBytes"].as_u64(), "{node:#}");
    assert!(node["rlimit"]["curproc"].as_u64() > Some(0));
    assert_eq!(node["runtime"]["imageFs"]["capacityBytes"], 1000);
    let own = &summary["pods"][0];
    assert_eq!((&own["podRef"]["name"], &own["memory"]["workingSetBytes"]), (&"p".into(), &(1 << 20).into()));
    assert_eq!((&own["containers"][0]["name"], &own["containers"][0]["rootfs"]["usedBytes"]), (&"a".into(), &4096.into()));
    assert!(own["volume"].as_array().is_some_and(|all| all.iter().any(|v| v["name"] == "e")), "{own:#}");
    let brief = json("/stats/summary?only_cpu_and_memory=true").await;
    assert_eq!((&brief["node"]["fs"], &brief["pods"][0]["volume"]), (&Value::Null, &Value::Null));
    let text = body("/metrics/resource").await;
    assert!(text.contains("pod_memory_working_set_bytes{namespace=\"ns\",pod=\"p\"} 1.048576e+06 "), "{text}");
    assert!(text.contains("\nresource_scrape_error 0\n"), "{text}");
    let text = body("/metrics/cadvisor").await;
    assert!(text.contains("container_memory_working_set_bytes{container=\"a\",id=\"u1-a-0\""), "{text}");
    assert_eq!(json("/runningpods/").await["items"][0]["spec"]["containers"][0]["name"], "a");
    assert_eq!(json("/configz").await["kubeletconfig"]["maxPods"], 110);
    assert_eq!(body("/metrics/probes").await, "", "it has no probes");
    world.stop.cancel();
}
