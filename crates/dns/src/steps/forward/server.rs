//! One name server that is asked: over UDP with a socket for each question, over TCP with connections that are kept for a
//! while, and whether it is well.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep, timeout};

use crate::message::{Asked, Question, Said};
use crate::names;

/// Connections kept for the next question.
const KEPT: usize = 8;
/// The smallest place for an answer over UDP.
const PLACE: u16 = 4096;
/// How long a name server may take to show that it is well.
const CHECK: Duration = Duration::from_secs(1);

pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Health checks that failed since it was well.
    fails: AtomicU32,
    checking: AtomicBool,
    kept: Mutex<Vec<(TcpStream, Instant)>>,
}

/// How a name server's health is checked.
#[derive(Clone)]
pub(super) struct Health {
    pub(super) every: Duration,
    pub(super) recursion_desired: bool,
    pub(super) name: String,
}

/// How one question is put.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) tcp: bool,
    pub(super) patience: Duration,
    /// How long an unused connection is kept.
    pub(super) expire: Duration,
}

impl Server {
    pub(super) fn new(address: SocketAddr) -> Arc<Self> {
        let (fails, checking) = (AtomicU32::new(0), AtomicBool::new(false));
        Arc::new(Server { address, fails, checking, kept: Mutex::default() })
    }

    /// Whether more checks failed than it may fail; with 0 it is always well.
    pub(super) fn down(&self, most: u32) -> bool {
        most > 0 && self.fails.load(Ordering::Relaxed) > most
    }

    /// Puts a question. An error: there is no answer, or none that can be read.
    pub(super) async fn ask(&self, asked: &Asked, question: &Question, manner: Manner) -> Result<Said, String> {
        let id = rand::random();
        let bytes = asked.forward(question, id).ok_or("the question cannot be written")?;
        let place = asked.limit().max(PLACE);
        let exchange = async {
            if manner.tcp { self.over_tcp(&bytes, manner.expire).await } else { self.over_udp(&bytes, place, question).await }
        };
        let within = timeout(manner.patience, exchange).await;
        let answer = within.map_err(|_| format!("{}: no answer", self.address))?;
        let message = answer.map_err(|error| format!("{}: {error}", self.address))?;
        if !fits(&message, id, question) {
            return Err(format!("{}: an answer to another question", self.address));
        }
        Ok(said(message))
    }

    async fn over_udp(&self, bytes: &[u8], place: u16, question: &Question) -> Result<Message, String> {
        let any: SocketAddr = if self.address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let text = |error: std::io::Error| error.to_string();
        let socket = UdpSocket::bind(any).await.map_err(text)?;
        socket.connect(self.address).await.map_err(text)?;
        socket.send(bytes).await.map_err(text)?;
        let mut answer = vec![0; usize::from(place)];
        loop {
            let length = socket.recv(&mut answer).await.map_err(text)?;
            // An answer to another question is not ours: whoever guesses must guess it all.
            if length < 2 || answer[..2] != bytes[..2] {
                continue;
            }
            match Message::from_vec(&answer[..length]) {
                Ok(message) if fits(&message, message.id, question) => return Ok(message),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn over_tcp(&self, bytes: &[u8], expire: Duration) -> Result<Message, String> {
        // One that was kept may have been closed meanwhile.
        while let Some(stream) = self.take(expire) {
            if let Ok(message) = self.by(stream, bytes).await {
                return Ok(message);
            }
        }
        let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        self.by(stream, bytes).await
    }

    async fn by(&self, mut stream: TcpStream, bytes: &[u8]) -> Result<Message, String> {
        let read = async {
            let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
            let mut answer = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut answer).await?;
            Message::from_vec(&answer).map_err(std::io::Error::other)
        };
        let message = read.await.map_err(|error| error.to_string())?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push((stream, Instant::now()));
        }
        Ok(message)
    }

    fn take(&self, expire: Duration) -> Option<TcpStream> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, since)| since.elapsed() < expire);
        kept.pop().map(|(stream, _)| stream)
    }

    /// Checks it aside until it is well. Only one check is under way.
    pub(super) fn check(self: &Arc<Self>, health: &Health, tcp: bool) {
        if self.checking.swap(true, Ordering::Relaxed) {
            return;
        }
        let (server, health) = (Arc::downgrade(self), health.clone());
        tokio::spawn(checks(server, health, tcp));
    }

    async fn is_well(&self, health: &Health, tcp: bool) -> bool {
        let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = health.recursion_desired;
        let Some(name) = names::parse(&health.name) else { return false };
        message.add_query(Query::query(name, RecordType::NS));
        let Ok(bytes) = message.to_vec() else { return false };
        let question = Question::new(&health.name, RecordType::NS);
        let asked = async {
            if tcp {
                self.over_tcp(&bytes, Duration::ZERO).await
            } else {
                self.over_udp(&bytes, PLACE, &question).await
            }
        };
        // Any answer shows that it is there.
        matches!(timeout(CHECK, asked).await, Ok(Ok(_)))
    }
}

/// Ends when it is well, or nobody wants to know any more.
async fn checks(server: Weak<Server>, health: Health, tcp: bool) {
    while let Some(server) = server.upgrade() {
        if server.is_well(&health, tcp).await {
            server.fails.store(0, Ordering::Relaxed);
            server.checking.store(false, Ordering::Relaxed);
            return;
        }
        server.fails.fetch_add(1, Ordering::Relaxed);
        drop(server);
        sleep(health.every).await;
    }
}

/// Whether it is an answer to the question.
fn fits(message: &Message, id: u16, question: &Question) -> bool {
    let same = |query: &Query| {
        query.query_type() == question.kind && names::parse(&question.name).is_some_and(|name| name == *query.name())
    };
    // Who refuses to read a question may leave it out.
    let bare = message.queries.is_empty() && message.response_code != ResponseCode::NoError;
    let to_it = matches!(&message.queries[..], [query] if same(query));
    message.id == id && message.message_type == MessageType::Response && (bare || to_it)
}

fn said(message: Message) -> Said {
    Said {
        code: message.metadata.response_code,
        authoritative: message.metadata.authoritative,
        authentic: message.metadata.authentic_data,
        truncated: message.metadata.truncation,
        foreign: true,
        answers: message.answers,
        authorities: message.authorities,
        additionals: message.additionals,
    }
}
