//! The sockets under clients that do not behave. Each waits for what the other side does, never for time to pass.

use super::*;
use std::io::Write;
use std::str::FromStr;

use client::Informer;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};

const LONG: Duration = Duration::from_secs(60);
const FEW: Limits = Limits {
    waiting: 256,
    connections: 8,
    connections_each: 4,
    forwarded: 4,
    forwarded_each: 2,
    idle: LONG,
};
const INSIDE: &str = "web.d.svc.cluster.local.";
const OUTSIDE: &str = "example.org.";

/// A server, and the machine's name server, which only the test answers for.
struct Cluster {
    address: SocketAddr,
    upstream: UdpSocket,
    _server: tokio::task::JoinHandle<io::Error>,
    _resolv_conf: tempfile::NamedTempFile,
}

fn world() -> World {
    let (services, slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
    let web = json!({"metadata": {"namespace": "d", "name": "web"}, "spec": {"clusterIP": "10.96.0.7"}});
    services.apply(serde_json::from_value(web).expect("a service"));
    World::follow(&services, &slices)
}

async fn cluster(limits: Limits) -> Cluster {
    let upstream = UdpSocket::bind("127.0.0.9:0").await.expect("a name server");
    let mut resolv_conf = tempfile::NamedTempFile::new().expect("a file");
    writeln!(resolv_conf, "nameserver 127.0.0.9").expect("write");
    let port = upstream.local_addr().expect("its port").port();
    let elsewhere = Upstream::new(resolv_conf.path().to_owned(), [127, 0, 0, 1].into()).at_port(port);
    let here = ([127, 0, 0, 1], 0).into();
    let server = Server::limited(here, "cluster.local".to_owned(), world(), elsewhere, limits).await.expect("bind");
    let address = server.udp.local_addr().expect("its address");
    Cluster { address, upstream, _server: tokio::spawn(server.run()), _resolv_conf: resolv_conf }
}

fn question(name: &str, id: u16) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    message.add_query(Query::query(Name::from_str(name).expect("a name"), RecordType::A));
    message.to_vec().expect("a message")
}

fn read_answer(bytes: &[u8]) -> (ResponseCode, usize) {
    let message = Message::from_vec(bytes).expect("an answer");
    if let Some(record) = message.answers.first() {
        assert!(matches!(record.data, RData::A(_)));
    }
    (message.metadata.response_code, message.answers.len())
}

async fn udp(cluster: &Cluster, from: u8) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, from], 0))).await.expect("a client");
    socket.connect(cluster.address).await.expect("connect");
    socket
}

async fn answer(socket: &UdpSocket) -> (ResponseCode, usize) {
    let mut bytes = vec![0; 4096];
    let length = socket.recv(&mut bytes).await.expect("an answer");
    read_answer(&bytes[..length])
}

async fn tcp(cluster: &Cluster, from: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, from], 0).into()).expect("an address");
    socket.connect(cluster.address).await.expect("connect")
}

async fn ask_over_tcp(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), name: &str) -> io::Result<(ResponseCode, usize)> {
    let question = question(name, 7);
    let length = u16::try_from(question.len()).expect("a length");
    stream.write_all(&[&length.to_be_bytes(), question.as_slice()].concat()).await?;
    Ok(read_answer(&read(stream).await?))
}

#[tokio::test]
async fn idle_connections_take_nothing_from_others() {
    let cluster = cluster(FEW).await;
    let mut first = tcp(&cluster, 3).await;
    assert_eq!(ask_over_tcp(&mut first, INSIDE).await.expect("first"), (ResponseCode::NoError, 1));
    let mut idle = Vec::new();
    for n in 0..40 {
        idle.push(tcp(&cluster, 4 + n % 4).await);
    }
    let socket = udp(&cluster, 2).await;
    socket.send(&question(INSIDE, 1)).await.expect("send");
    assert_eq!(answer(&socket).await, (ResponseCode::NoError, 1), "UDP");
    let mut new = tcp(&cluster, 2).await;
    assert_eq!(ask_over_tcp(&mut new, INSIDE).await.expect("new"), (ResponseCode::NoError, 1), "TCP");
    // Older ones of those that have many were closed for it, not the one of who has one.
    assert!(matches!(idle[0].read(&mut [0; 1]).await, Ok(0) | Err(_)));
    assert_eq!(ask_over_tcp(&mut first, INSIDE).await.expect("first"), (ResponseCode::NoError, 1));
}

#[tokio::test]
async fn a_silent_name_server_delays_nobody_who_asks_about_the_cluster() {
    let cluster = cluster(FEW).await;
    let (one, other, third) = (udp(&cluster, 2).await, udp(&cluster, 3).await, udp(&cluster, 4).await);
    for (socket, id) in [(&one, 1), (&one, 2), (&other, 3), (&other, 4)] {
        socket.send(&question(OUTSIDE, id)).await.expect("send");
    }
    // They wait: the name server has got them and says nothing.
    let mut bytes = vec![0; 4096];
    let mut waiting = std::collections::HashMap::new();
    for _ in 0..4 {
        let (_, from) = cluster.upstream.recv_from(&mut bytes).await.expect("forwarded");
        waiting.insert(bytes[1], from);
    }
    for (socket, id) in [(&one, 5), (&third, 6)] {
        socket.send(&question(OUTSIDE, id)).await.expect("send");
        assert_eq!(answer(socket).await, (ResponseCode::ServFail, 0), "over its share, or over all");
        socket.send(&question(INSIDE, id)).await.expect("send");
        assert_eq!(answer(socket).await, (ResponseCode::NoError, 1), "about the cluster");
    }
    let mut stream = tcp(&cluster, 5).await;
    assert_eq!(ask_over_tcp(&mut stream, OUTSIDE).await.expect("an answer"), (ResponseCode::ServFail, 0));
    assert_eq!(ask_over_tcp(&mut stream, INSIDE).await.expect("an answer"), (ResponseCode::NoError, 1));

    // The name server wakes up, and the next question reaches it.
    let said = Message::response(4, hickory_proto::op::OpCode::Query).to_vec().expect("a message");
    cluster.upstream.send_to(&said, waiting[&4]).await.expect("answer");
    assert_eq!(answer(&other).await, (ResponseCode::NoError, 0));
    third.send(&question(OUTSIDE, 8)).await.expect("send");
    let (length, _) = cluster.upstream.recv_from(&mut bytes).await.expect("forwarded");
    assert_eq!(bytes[..length], question(OUTSIDE, 8));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let cluster = cluster(Limits { idle: Duration::from_millis(1), ..FEW }).await;
    let mut silent = tcp(&cluster, 2).await;
    assert_eq!(silent.read(&mut [0; 1]).await.expect("an end"), 0);
    let mut slow = tcp(&cluster, 2).await;
    // It may be closed already, which is as good.
    let _ = slow.write_all(&[0]).await;
    assert!(matches!(slow.read(&mut [0; 1]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_left() {
    let forwarded = Permits::new(1, 1);
    let connections = Connections::new(1, 1);
    let place = connections.open([127, 0, 0, 2].into());
    let upstream = Upstream::new("/nonexistent".into(), [127, 0, 0, 1].into());
    let idle = Duration::from_millis(1);
    let domain = "cluster.local".to_owned();
    let shared = Shared { domain, world: world(), upstream, forwarded, connections, idle };
    // The client's window is smaller than an answer, and it has asked already.
    let (ours, mut theirs) = tokio::io::duplex(64);
    let asked = question(INSIDE, 9);
    let length = u16::try_from(asked.len()).expect("a length");
    theirs.write_all(&[&length.to_be_bytes(), asked.as_slice()].concat()).await.expect("ask");
    let end = shared.questions(ours, [127, 0, 0, 2].into(), &place).await.expect_err("it never reads");
    assert_eq!(end.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn what_is_no_question_gets_no_answer_and_stops_nothing() {
    let cluster = cluster(FEW).await;
    let socket = udp(&cluster, 2).await;
    let good = question(INSIDE, 1);
    for cut in 0..good.len() {
        socket.send(&good[..cut]).await.expect("send");
    }
    let mut answer_to_us = question(INSIDE, 2);
    answer_to_us[2] |= 0x80;
    socket.send(&answer_to_us).await.expect("send");
    socket.send(&good).await.expect("send");
    let mut bytes = vec![0; 4096];
    loop {
        let length = socket.recv(&mut bytes).await.expect("an answer");
        // A head without a question is told that it is malformed; the rest gets silence.
        match read_answer(&bytes[..length]) {
            (ResponseCode::FormErr, 0) => {}
            other => break assert_eq!((other, &bytes[..2]), ((ResponseCode::NoError, 1), &good[..2])),
        }
    }
}
