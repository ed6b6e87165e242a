//! The sockets under clients that do not behave. Each waits for what the other side does, never for time to pass.

use super::*;
use std::io::Write;
use std::str::FromStr;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::{TcpSocket, TcpStream};

use crate::corefile::Files;
use crate::kit;
use crate::plan::{compile, default};

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
/// Each asks for something else: what several ask for is asked once.
const OUTSIDE: [&str; 9] = [
    "0.example.org.", "1.example.org.", "2.example.org.", "3.example.org.", "4.example.org.", "5.example.org.",
    "6.example.org.", "7.example.org.", "8.example.org.",
];

/// A server, and the machine's name server, which only the test answers for.
struct Cluster {
    address: SocketAddr,
    upstream: UdpSocket,
    world: crate::world::World,
    _server: tokio::task::JoinHandle<io::Error>,
    _resolv_conf: tempfile::NamedTempFile,
}

fn environment(resolv_conf: &std::path::Path, port: u16) -> crate::steps::Environment {
    crate::steps::Environment {
        resolv_conf: resolv_conf.to_owned(),
        upstream_port: port,
        ..kit::environment()
    }
}

fn slot(environment: &crate::steps::Environment) -> Slot {
    let mut compiled = compile(&default("cluster.local"), &Files::new(), environment).expect("the built-in Corefile");
    Slot::new(compiled.sockets.remove(&kit::own()).expect("a plan"))
}

async fn cluster(limits: Limits) -> Cluster {
    let upstream = UdpSocket::bind("127.0.0.9:0").await.expect("a name server");
    let mut resolv_conf = tempfile::NamedTempFile::new().expect("a file");
    writeln!(resolv_conf, "nameserver 127.0.0.9").expect("write");
    let environment = environment(resolv_conf.path(), upstream.local_addr().expect("its address").port());
    let (slot, world) = (slot(&environment), environment.world.clone());
    let permits = Permits::new(limits.forwarded, limits.forwarded_each);
    // The port that is free for UDP may be taken for TCP.
    let server = loop {
        match Server::bind(([127, 0, 0, 1], 0).into(), slot.clone(), permits.clone(), limits).await {
            Ok(server) => break server,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
        }
    };
    let address = server.address().expect("its address");
    Cluster { address, upstream, world, _server: tokio::spawn(server.run()), _resolv_conf: resolv_conf }
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
        socket.send(&question(OUTSIDE[usize::from(id)], id)).await.expect("send");
    }
    // They wait: the name server has got them and says nothing.
    let mut bytes = vec![0; 4096];
    let mut waiting = std::collections::HashMap::new();
    for _ in 0..4 {
        let (length, from) = cluster.upstream.recv_from(&mut bytes).await.expect("forwarded");
        let message = Message::from_vec(&bytes[..length]).expect("a question");
        waiting.insert(message.queries[0].name().to_string(), (message, from));
    }
    for (socket, id) in [(&one, 5), (&third, 6)] {
        socket.send(&question(OUTSIDE[id], 5)).await.expect("send");
        assert_eq!(answer(socket).await, (ResponseCode::ServFail, 0), "over its share, or over all");
        socket.send(&question(INSIDE, 6)).await.expect("send");
        assert_eq!(answer(socket).await, (ResponseCode::NoError, 1), "about the cluster");
    }
    let mut stream = tcp(&cluster, 5).await;
    assert_eq!(ask_over_tcp(&mut stream, OUTSIDE[7]).await.expect("an answer"), (ResponseCode::ServFail, 0));
    assert_eq!(ask_over_tcp(&mut stream, INSIDE).await.expect("an answer"), (ResponseCode::NoError, 1));

    // The name server wakes up, and the next question reaches it.
    let (asked, from) = &waiting[OUTSIDE[4]];
    let mut said = Message::response(asked.metadata.id, hickory_proto::op::OpCode::Query);
    said.queries.clone_from(&asked.queries);
    cluster.upstream.send_to(&said.to_vec().expect("a message"), from).await.expect("answer");
    assert_eq!(answer(&other).await, (ResponseCode::NoError, 0));
    third.send(&question(OUTSIDE[8], 8)).await.expect("send");
    let (length, _) = cluster.upstream.recv_from(&mut bytes).await.expect("forwarded");
    let message = Message::from_vec(&bytes[..length]).expect("a question");
    assert_eq!(message.queries[0].name().to_string(), OUTSIDE[8]);
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
    let slot = slot(&environment(std::path::Path::new("/nonexistent"), 53));
    let shared = Shared { slot, forwarded, connections, idle: Duration::from_millis(1) };
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

#[tokio::test]
async fn what_is_said_again_is_what_is_true_now() {
    let cluster = cluster(FEW).await;
    let socket = udp(&cluster, 2).await;
    let services = kit::informer::<k8s_openapi::api::core::v1::Service>(&serde_json::json!([]));
    cluster.world.follow_services(&services);
    let name = "again.d.svc.cluster.local.";
    let mut id = 0;
    let mut ask = async || {
        id += 1;
        socket.send(&question(name, id)).await.expect("send");
        let mut bytes = vec![0; 4096];
        let length = socket.recv(&mut bytes).await.expect("an answer");
        let message = Message::from_vec(&bytes[..length]).expect("a message");
        assert_eq!(message.metadata.id, id);
        message.answers.first().map(|record| record.data.to_string())
    };
    for address in ["10.96.0.50", "10.96.0.51"] {
        let tree = serde_json::json!({"metadata": {"namespace": "d", "name": "again"}, "spec": {"clusterIP": address}});
        services.apply(serde_json::from_value(tree).expect("a service"));
        for _ in 0..3 {
            assert_eq!(ask().await.as_deref(), Some(address));
        }
    }
    let gone = services.snapshot().values().next().expect("the service").clone();
    services.delete(&gone);
    assert_eq!(ask().await, None);
}
