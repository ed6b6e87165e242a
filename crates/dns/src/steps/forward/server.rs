//! One name server that is asked: over UDP with a socket for each question, over TCP and TLS with connections that are kept
//! for a while, and whether it is well.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{Instant, sleep, timeout};

use super::tls::Tls;
use crate::message::{Asked, Question, Said};
use crate::names;

/// Connections kept for the next question, at most.
pub(super) const KEPT: usize = 8;
/// The smallest place for an answer over UDP.
const PLACE: u16 = 4096;
/// How long a name server may take to show that it is well.
const CHECK: Duration = Duration::from_secs(1);

pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Health checks that failed since it was well.
    fails: AtomicU32,
    checking: AtomicBool,
    /// How it is spoken to, if in secret: then never over UDP.
    tls: Option<Tls>,
    kept: Mutex<Vec<Connection>>,
}

/// A connection to it, in plain text or not.
struct Connection {
    pipe: Box<dyn Pipe>,
    /// When it was made, and when it was used last.
    made: Instant,
    used: Instant,
}

trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// How a name server's health is checked.
#[derive(Clone)]
pub(super) struct Health {
    pub(super) every: Duration,
    pub(super) recursion_desired: bool,
    pub(super) name: String,
    pub(super) source: Option<IpAddr>,
}

/// How connections are made and kept.
#[derive(Clone, Copy)]
pub(super) struct Keeping {
    /// How long one is kept unused.
    pub(super) expire: Duration,
    /// How old one may become; zero: as old as may be.
    pub(super) age: Duration,
    /// How many are kept unused.
    pub(super) idle: usize,
    /// The address to ask from.
    pub(super) source: Option<IpAddr>,
}

/// How one question is put.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) tcp: bool,
    pub(super) patience: Duration,
    pub(super) keeping: Keeping,
}

impl Server {
    pub(super) fn new(address: SocketAddr, tls: Option<Tls>) -> Arc<Self> {
        let (fails, checking) = (AtomicU32::new(0), AtomicBool::new(false));
        Arc::new(Server { address, fails, checking, tls, kept: Mutex::default() })
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
            if manner.tcp || self.tls.is_some() {
                self.over_tcp(&bytes, manner.keeping).await
            } else {
                self.over_udp(&bytes, place, question, manner.keeping.source).await
            }
        };
        let within = timeout(manner.patience, exchange).await;
        let answer = within.map_err(|_| format!("{}: no answer", self.address))?;
        let message = answer.map_err(|error| format!("{}: {error}", self.address))?;
        if !fits(&message, id, question) {
            return Err(format!("{}: an answer to another question", self.address));
        }
        Ok(said(message))
    }

    async fn over_udp(
        &self,
        bytes: &[u8],
        place: u16,
        question: &Question,
        source: Option<IpAddr>,
    ) -> Result<Message, String> {
        let any: IpAddr = if self.address.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
        let text = |error: std::io::Error| error.to_string();
        let socket = UdpSocket::bind((source.unwrap_or(any), 0)).await.map_err(text)?;
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

    async fn over_tcp(&self, bytes: &[u8], keeping: Keeping) -> Result<Message, String> {
        // One that was kept may have been closed meanwhile.
        while let Some(connection) = self.take(keeping) {
            if let Ok(message) = self.by(connection, bytes, keeping).await {
                return Ok(message);
            }
        }
        let connection = self.connect(keeping.source).await.map_err(|error| error.to_string())?;
        self.by(connection, bytes, keeping).await
    }

    async fn connect(&self, source: Option<IpAddr>) -> std::io::Result<Connection> {
        let stream = match source {
            None => TcpStream::connect(self.address).await?,
            Some(source) => {
                let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                socket.bind(SocketAddr::new(source, 0))?;
                socket.connect(self.address).await?
            }
        };
        let pipe: Box<dyn Pipe> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(stream).await?),
        };
        Ok(Connection { pipe, made: Instant::now(), used: Instant::now() })
    }

    async fn by(&self, mut connection: Connection, bytes: &[u8], keeping: Keeping) -> Result<Message, String> {
        let pipe = &mut connection.pipe;
        let read = async {
            let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
            pipe.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
            pipe.flush().await?;
            let mut answer = vec![0; usize::from(pipe.read_u16().await?)];
            pipe.read_exact(&mut answer).await?;
            Message::from_vec(&answer).map_err(std::io::Error::other)
        };
        let message = read.await.map_err(|error| error.to_string())?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < keeping.idle {
            kept.push(Connection { used: Instant::now(), ..connection });
        }
        Ok(message)
    }

    fn take(&self, keeping: Keeping) -> Option<Connection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let young = |connection: &Connection| keeping.age.is_zero() || connection.made.elapsed() < keeping.age;
        kept.retain(|connection| connection.used.elapsed() < keeping.expire && young(connection));
        kept.pop()
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
            if tcp || self.tls.is_some() {
                let keeping = Keeping { expire: Duration::ZERO, age: Duration::ZERO, idle: KEPT, source: health.source };
                self.over_tcp(&bytes, keeping).await
            } else {
                self.over_udp(&bytes, PLACE, &question, health.source).await
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
