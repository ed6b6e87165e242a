//! What tests here have in common: a small cluster, other name servers, and answers as lines.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use client::{Informer, Kind};
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Record, RecordType};
use serde_json::Value;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::corefile::Files;
use crate::corefile::values::code_name;
use crate::limits::Permits;
use crate::plan::compile;
use crate::respond::{Reply, Slot, reply};
use crate::steps::Environment;
use crate::world::World;

pub(crate) const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 244, 0, 77));
pub(crate) const PORT: u16 = 53;
/// What takes longer does not come.
const LONG: Duration = Duration::from_secs(30);

/// The cluster that CoreDNS' recorded answers are about.
pub(crate) fn environment() -> Environment {
    let tree: Value = serde_json::from_str(include_str!("../tests/coredns/world.json")).expect("JSON");
    let pods = informer(&tree["pods"]);
    let world = World::follow(&informer(&tree["services"]), &informer(&tree["endpointslices"]), &informer(&tree["namespaces"]));
    Environment {
        world,
        synced: Arc::new(|| true),
        pods: Arc::new(move |world| world.follow_pods(&pods)),
        address: [10, 244, 0, 1].into(),
        port: PORT,
        resolv_conf: "/nonexistent".into(),
        upstream_port: 53,
        metrics: Arc::default(),
    }
}

pub(crate) fn informer<K: Kind>(objects: &Value) -> Informer<K> {
    let informer = Informer::detached();
    for object in objects.as_array().expect("a list") {
        informer.apply(serde_json::from_value(object.clone()).expect("an object"));
    }
    informer
}

/// The server's own address.
pub(crate) fn own() -> SocketAddr {
    SocketAddr::new([10, 244, 0, 1].into(), PORT)
}

/// A server with a Corefile.
pub(crate) struct Cluster {
    pub(crate) slot: Slot,
    pub(crate) permits: Arc<Permits>,
}

impl Cluster {
    pub(crate) fn new(corefile: &str) -> Self {
        Self::within(&environment(), corefile)
    }

    pub(crate) fn within(environment: &Environment, corefile: &str) -> Self {
        Self::of(environment, corefile, &Files::new())
    }

    /// The ConfigMap has other keys, too.
    pub(crate) fn with(corefile: &str, files: &Files) -> Self {
        Self::of(&environment(), corefile, files)
    }

    pub(crate) fn of(environment: &Environment, corefile: &str, files: &Files) -> Self {
        let mut compiled = compile(corefile, files, environment).unwrap_or_else(|fault| panic!("{fault}"));
        let slot = Slot::new(compiled.sockets.remove(&own()).expect("the server's own port"));
        Cluster { slot, permits: Permits::new(64, 64) }
    }

    pub(crate) async fn send(&self, message: &[u8], tcp: bool) -> Option<Vec<u8>> {
        self.send_from(message, tcp, CLIENT).await
    }

    pub(crate) async fn send_from(&self, message: &[u8], tcp: bool, client: IpAddr) -> Option<Vec<u8>> {
        match reply(&self.slot, &self.permits, message, tcp, client).await {
            Reply::Answer(bytes) => Some(bytes),
            Reply::Waiting(answer) => Some(timeout(LONG, answer).await.expect("an answer in time")).filter(|bytes| !bytes.is_empty()),
            Reply::Silence => None,
        }
    }

    pub(crate) async fn message(&self, question: &Message) -> Message {
        let bytes = self.send(&question.to_vec().expect("a message"), false).await.expect("an answer");
        Message::from_vec(&bytes).expect("a message")
    }

    /// `CODE [aa] [tc] | ANSWER; ANSWER | AUTHORITY | ADDITIONAL`; what is empty at the end is left out.
    pub(crate) async fn ask(&self, name: &str, kind: &str) -> String {
        lines(&self.message(&question(name, kind)).await)
    }
}

pub(crate) fn question(name: &str, kind: &str) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.metadata.id = 7;
    message.add_query(Query::query(crate::names::parse(name).expect("a name"), RecordType::from_str(kind).expect("a type")));
    message
}

/// The same with an OPT record.
pub(crate) fn extended(name: &str, kind: &str, payload: u16) -> Message {
    let mut message = question(name, kind);
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

pub(crate) fn lines(message: &Message) -> String {
    let mut head = code_name(message.metadata.response_code);
    for (flag, name) in [(message.metadata.authoritative, " aa"), (message.metadata.truncation, " tc")] {
        head.push_str(if flag { name } else { "" });
    }
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let all = sections.map(|records| records.iter().map(line).collect::<Vec<_>>().join("; "));
    let text = format!("{head} | {} | {} | {}", all[0], all[1], all[2]);
    text.trim_end_matches([' ', '|']).to_owned()
}

/// The serial number of a SOA is the time: it is left out.
fn line(record: &Record) -> String {
    let data = match &record.data {
        hickory_proto::rr::RData::SOA(soa) => format!("{} {} {}", soa.mname, soa.rname, soa.minimum),
        data => data.to_string(),
    };
    format!("{} {} {} {data}", crate::names::text(&record.name), record.ttl, record.record_type())
}

/// A name server that answers as it is told, and counts.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) socket: UdpSocket,
}

impl Upstream {
    pub(crate) async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        Upstream { address: socket.local_addr().expect("its address"), socket }
    }

    /// The next question, and who asks.
    pub(crate) async fn next(&self) -> (Message, SocketAddr) {
        let mut bytes = vec![0; 4096];
        let (length, from) = timeout(LONG, self.socket.recv_from(&mut bytes)).await.expect("in time").expect("a question");
        (Message::from_vec(&bytes[..length]).expect("a message"), from)
    }

    /// Answers a question with records in the form of zone files.
    pub(crate) async fn say(&self, question: &Message, to: SocketAddr, answer: impl FnOnce(&mut Message)) {
        let mut message = Message::response(question.metadata.id, question.metadata.op_code);
        message.metadata.recursion_available = true;
        message.queries.clone_from(&question.queries);
        answer(&mut message);
        self.socket.send_to(&message.to_vec().expect("a message"), to).await.expect("send");
    }
}

/// A record in the form `NAME TTL TYPE DATA`.
pub(crate) fn record(text: &str) -> Record {
    let words: Vec<&str> = text.splitn(4, ' ').collect();
    let kind = RecordType::from_str(words[2]).expect("a type");
    let data = hickory_proto::rr::RData::try_from_str(kind, words[3]).expect("data");
    Record::from_rdata(crate::names::parse(words[0]).expect("a name"), words[1].parse().expect("a number"), data)
}
