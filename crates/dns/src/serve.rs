//! The sockets. What is asked about the cluster is answered where it arrives and waits for nobody; only questions about
//! the rest of the world wait, each with a permit. TCP has nothing in common with UDP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::answer::{Reply, reply};
use crate::forward::Upstream;
use crate::limits::{Connection, Connections, LIMITS, Limits, Permits};
use crate::world::World;
use crate::Config;

/// How long nobody is accepted after the machine refused a connection: there are no descriptors left.
const BREATH: Duration = Duration::from_millis(100);

/// The server with its sockets.
pub(crate) struct Server {
    shared: Arc<Shared>,
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
}

struct Shared {
    domain: String,
    world: World,
    upstream: Upstream,
    forwarded: Arc<Permits>,
    connections: Arc<Connections>,
    idle: Duration,
}

impl Server {
    pub(crate) async fn bind(config: Config, world: World) -> io::Result<Self> {
        let upstream = Upstream::new(config.resolv_conf, IpAddr::V4(config.address));
        Self::limited((config.address, config.port).into(), config.domain, world, upstream, LIMITS).await
    }

    async fn limited(
        address: SocketAddr,
        domain: String,
        world: World,
        upstream: Upstream,
        limits: Limits,
    ) -> io::Result<Self> {
        let udp = Arc::new(UdpSocket::bind(address).await?);
        // With port 0 TCP follows UDP.
        let tcp = TcpListener::bind((address.ip(), udp.local_addr()?.port())).await?;
        let forwarded = Permits::new(limits.forwarded, limits.forwarded_each);
        let connections = Connections::new(limits.connections, limits.connections_each);
        let shared = Shared { domain, world, upstream, forwarded, connections, idle: limits.idle };
        Ok(Server { shared: Arc::new(shared), udp, tcp })
    }

    /// Serves until it is dropped, and everything under way with it.
    pub(crate) async fn run(self) {
        let mut streams = JoinSet::new();
        streams.spawn(streams_of(self.tcp, self.shared.clone()));
        datagrams(self.udp, self.shared).await;
    }
}

/// Answers datagrams, one after the other. An answer that the socket cannot take at once is lost, as datagrams are.
async fn datagrams(udp: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut waiting = JoinSet::new();
    let mut datagram = vec![0; usize::from(u16::MAX)];
    loop {
        let received = tokio::select! {
            Some(_) = waiting.join_next() => continue,
            received = udp.recv_from(&mut datagram) => received,
        };
        // An error belongs to an earlier answer that nobody took.
        let Ok((length, client)) = received else { continue };
        let question = &datagram[..length];
        let answer = match reply(&shared.world, &shared.domain, question, false) {
            Reply::Silence => continue,
            Reply::Answer(answer) => answer,
            Reply::Elsewhere(failure) => match shared.forwarded.take(client.ip()) {
                None => failure,
                Some(permit) => {
                    let (shared, udp, question) = (shared.clone(), udp.clone(), question.to_vec());
                    waiting.spawn(async move {
                        let answer = shared.upstream.ask(&question, false).await.unwrap_or(failure);
                        let _ = udp.try_send_to(&answer, client);
                        drop(permit);
                    });
                    continue;
                }
            },
        };
        let _ = udp.try_send_to(&answer, client);
    }
}

async fn streams_of(tcp: TcpListener, shared: Arc<Shared>) {
    let mut streams = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = streams.join_next() => continue,
            accepted = tcp.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let (shared, place) = (shared.clone(), shared.connections.open(client.ip()));
                streams.spawn(async move { shared.connection(stream, client.ip(), &place).await });
            }
            Err(_) => {
                shared.connections.close_one();
                sleep(BREATH).await;
            }
        }
    }
}

impl Shared {
    /// Answers a client until it is silent, has gone, or must give way.
    async fn connection(&self, stream: impl AsyncRead + AsyncWrite + Unpin, client: IpAddr, place: &Connection) {
        tokio::select! {
            () = place.closed() => {}
            _ = self.questions(stream, client, place) => {}
        }
    }

    async fn questions(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        client: IpAddr,
        place: &Connection,
    ) -> io::Result<()> {
        loop {
            let question = timeout(self.idle, read(&mut stream)).await??;
            place.heard();
            let answer = match reply(&self.world, &self.domain, &question, true) {
                Reply::Silence => return Ok(()),
                Reply::Answer(answer) => answer,
                Reply::Elsewhere(failure) => match self.forwarded.take(client) {
                    None => failure,
                    Some(_permit) => self.upstream.ask(&question, true).await.unwrap_or(failure),
                },
            };
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            timeout(self.idle, stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())).await??;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut question = vec![0; usize::from(length)];
    stream.read_exact(&mut question).await?;
    Ok(question)
}

#[cfg(test)]
mod tests;
