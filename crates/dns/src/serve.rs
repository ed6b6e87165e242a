//! The sockets, and the wire form of questions and answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record as Wire, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::world::World;
use crate::zone::{self, Answer, Data, Kind, Record};
use crate::{Config, forward};

/// Seconds for which an answer may be kept (kubeadm's CoreDNS: 30).
const TTL: u32 = 30;
/// Seconds for which the absence of a name may be kept.
const NEGATIVE_TTL: u32 = 5;
/// The largest answer over UDP to a client that does not say what it can take.
const DATAGRAM: u16 = 512;
/// Questions under way at once; further datagrams wait in the socket's buffer.
const AT_ONCE: usize = 1024;
/// How long a TCP client may be silent.
const IDLE: Duration = Duration::from_secs(10);

/// The server with its sockets.
pub(crate) struct Server {
    shared: Arc<Shared>,
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
}

struct Shared {
    config: Config,
    world: World,
    turns: Arc<Semaphore>,
}

impl Server {
    pub(crate) async fn bind(config: Config, world: World) -> io::Result<Self> {
        let address = SocketAddr::from((config.address, config.port));
        let udp = Arc::new(UdpSocket::bind(address).await?);
        // With port 0 TCP follows UDP.
        let tcp = TcpListener::bind((config.address, udp.local_addr()?.port())).await?;
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Server { shared: Arc::new(Shared { config, world, turns }), udp, tcp })
    }

    pub(crate) async fn run(self) {
        let mut datagram = vec![0; usize::from(u16::MAX)];
        loop {
            let Ok(turn) = self.shared.turns.clone().acquire_owned().await else { return };
            tokio::select! {
                received = self.udp.recv_from(&mut datagram) => {
                    // An error belongs to an earlier answer that nobody took.
                    let Ok((length, client)) = received else { continue };
                    let (shared, udp, question) = (self.shared.clone(), self.udp.clone(), datagram[..length].to_vec());
                    tokio::spawn(async move {
                        if let Some(answer) = shared.answer(&question, false).await {
                            let _ = udp.send_to(&answer, client).await;
                        }
                        drop(turn);
                    });
                }
                accepted = self.tcp.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let shared = self.shared.clone();
                    tokio::spawn(async move {
                        // The client has gone, or says nothing any more.
                        let _ = shared.connection(stream).await;
                        drop(turn);
                    });
                }
            }
        }
    }
}

impl Shared {
    async fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let length = timeout(IDLE, stream.read_u16()).await??;
            let mut question = vec![0; usize::from(length)];
            timeout(IDLE, stream.read_exact(&mut question)).await??;
            let Some(answer) = self.answer(&question, true).await else { return Ok(()) };
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat()).await?;
        }
    }

    /// The answer's bytes; `None` for what is no question and gets no answer.
    async fn answer(&self, bytes: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(bytes).ok()?;
        if question.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.queries.clone_from(&question.queries);
        match question.queries.first() {
            _ if question.metadata.op_code != OpCode::Query => {
                answer.metadata.response_code = ResponseCode::NotImp;
            }
            None => answer.metadata.response_code = ResponseCode::FormErr,
            Some(query) => {
                let name = query.name().to_ascii().to_ascii_lowercase();
                let kind = kind(query.query_type());
                let found = zone::answer(&self.world.lock(), &self.config.domain, name.trim_end_matches('.'), kind);
                if found == Answer::Elsewhere {
                    let ourselves = IpAddr::V4(self.config.address);
                    if let Some(answer) = forward::ask(&self.config.resolv_conf, bytes, tcp, ourselves).await {
                        return Some(answer);
                    }
                }
                // Names come back as they were written: some clients compare the letters.
                self.fill(&mut answer, found, query.name());
            }
        }
        let limit = if tcp { u16::MAX } else { question.edns.as_ref().map_or(DATAGRAM, |e| e.max_payload().max(DATAGRAM)) };
        let whole = answer.to_vec().ok()?;
        if whole.len() <= usize::from(limit) { Some(whole) } else { answer.truncate().to_vec().ok() }
    }

    fn fill(&self, answer: &mut Message, found: Answer, asked: &Name) {
        answer.metadata.authoritative = found != Answer::Elsewhere;
        match found {
            Answer::Found(records, more) => {
                answer.add_answers(records.iter().filter_map(|r| wire(r, Some(asked))));
                answer.add_additionals(more.iter().filter_map(|r| wire(r, None)));
            }
            Answer::NoSuchName => answer.metadata.response_code = ResponseCode::NXDomain,
            Answer::Elsewhere => answer.metadata.response_code = ResponseCode::ServFail,
        }
        if answer.answers.is_empty() && answer.metadata.authoritative {
            answer.add_authorities(self.authority());
        }
    }

    /// Says for how long an absence may be kept.
    fn authority(&self) -> Option<Wire> {
        let zone = Name::from_str(&format!("{}.", self.config.domain)).ok()?;
        let (server, person) = (zone.prepend_label("dns").ok()?, zone.prepend_label("hostmaster").ok()?);
        let soa = SOA::new(server.prepend_label("ns").ok()?, person, 1, 7200, 1800, 86400, NEGATIVE_TTL);
        Some(Wire::from_rdata(zone, NEGATIVE_TTL, RData::SOA(soa)))
    }
}

fn kind(kind: RecordType) -> Kind {
    match kind {
        RecordType::A => Kind::A,
        RecordType::SRV => Kind::Srv,
        RecordType::PTR => Kind::Ptr,
        RecordType::TXT => Kind::Txt,
        RecordType::SOA => Kind::Soa,
        _ => Kind::Other,
    }
}

fn wire(record: &Record, name: Option<&Name>) -> Option<Wire> {
    let absolute = |name: &str| Name::from_str(&format!("{name}.")).ok();
    let data = match &record.data {
        Data::A(address) => RData::A(A(*address)),
        Data::Cname(target) => RData::CNAME(CNAME(absolute(target)?)),
        Data::Srv(port, target) => RData::SRV(SRV::new(0, 100, *port, absolute(target)?)),
        Data::Ptr(target) => RData::PTR(PTR(absolute(target)?)),
        Data::Txt(text) => RData::TXT(TXT::new(vec![text.clone()])),
    };
    let name = name.cloned().or_else(|| absolute(&record.name))?;
    Some(Wire::from_rdata(name, TTL, data))
}
