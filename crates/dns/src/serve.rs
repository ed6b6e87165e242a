//! The sockets. What is asked about the cluster is answered when it is its client's turn, and waits for nothing else;
//! questions about the rest of the world wait aside, each with a permit. TCP has nothing in common with UDP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::batch::{Batch, send};
use crate::limits::{BUFFER, Connection, Connections, Limits, Permits};
use crate::queue::Queue;
use crate::respond::{Reply, Slot, reply};

/// How long nobody is accepted after the machine refused a connection: there are no descriptors left.
const BREATH: Duration = Duration::from_millis(100);

/// The server with its sockets.
pub(crate) struct Server {
    shared: Arc<Shared>,
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    limits: Limits,
}

struct Shared {
    slot: Slot,
    forwarded: Arc<Permits>,
    connections: Arc<Connections>,
    idle: Duration,
}

impl Server {
    /// Listens at an address, and answers what the slot says. Questions that wait for others share places with those of
    /// other ports.
    pub(crate) async fn bind(address: SocketAddr, slot: Slot, forwarded: Arc<Permits>, limits: Limits) -> io::Result<Self> {
        let udp = Arc::new(UdpSocket::bind(address).await?);
        if let Err(error) = setsockopt(&udp, sockopt::RcvBufForce, &BUFFER) {
            tracing::debug!(%error, "the cluster DNS has the machine's default for datagrams that wait");
        }
        // With port 0 TCP follows UDP.
        let tcp = TcpListener::bind((address.ip(), udp.local_addr()?.port())).await?;
        let connections = Connections::new(limits.connections, limits.connections_each);
        let shared = Shared { slot, forwarded, connections, idle: limits.idle };
        Ok(Server { shared: Arc::new(shared), udp, tcp, limits })
    }

    /// Where it listens.
    #[cfg(test)]
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Serves until it is dropped, and everything under way with it. It returns only when something is broken.
    pub(crate) async fn run(self) -> io::Error {
        let queue = Arc::new(Queue::new(self.limits.waiting));
        let mut tasks = JoinSet::new();
        tasks.spawn(receive(self.udp.clone(), queue.clone(), self.shared.slot.clone()));
        tasks.spawn(datagrams(self.udp, queue, self.shared.clone()));
        tasks.spawn(streams(self.tcp, self.shared));
        // None of them ends but by a panic.
        let _ = tasks.join_next().await;
        io::Error::other("a part of the cluster DNS has ended")
    }
}

/// Takes datagrams off the socket, which has room for few, and for all clients alike. What was answered before is answered
/// at once: that takes less time than to wait. The rest waits for its client's turn.
async fn receive(udp: Arc<UdpSocket>, queue: Arc<Queue>, slot: Slot) {
    let (mut batch, mut answers): (_, Vec<(SocketAddr, Vec<u8>)>) = (Batch::new(), Vec::new());
    loop {
        // An error belongs to an earlier answer that nobody took.
        if batch.receive(&udp).await.is_err() {
            continue;
        }
        let mut ready = 0;
        for (client, datagram, within) in batch.datagrams() {
            if ready == answers.len() {
                answers.push((client, Vec::new()));
            }
            let (to, answer) = &mut answers[ready];
            if within && slot.again(datagram, answer) {
                *to = client;
                ready += 1;
            } else {
                queue.push(client, datagram);
            }
        }
        send(&udp, &answers[..ready]);
        // Answering never waits for anything: others on this thread get their turn here.
        tokio::task::consume_budget().await;
    }
}

/// Answers datagrams, one after the other. An answer that the socket cannot take at once is lost, as datagrams are.
async fn datagrams(udp: Arc<UdpSocket>, queue: Arc<Queue>, shared: Arc<Shared>) {
    let mut waiting = JoinSet::new();
    loop {
        let (client, question) = tokio::select! {
            Some(_) = waiting.join_next() => continue,
            next = queue.pop() => next,
        };
        let answer = match reply(&shared.slot, &shared.forwarded, &question, false, client.ip()).await {
            Reply::Silence => continue,
            Reply::Answer(answer) => answer,
            Reply::Waiting(answer) => {
                let udp = udp.clone();
                waiting.spawn(async move {
                    let answer = answer.await;
                    if !answer.is_empty() {
                        let _ = udp.try_send_to(&answer, client);
                    }
                });
                continue;
            }
        };
        let _ = udp.try_send_to(&answer, client);
        // Answering never waits for anything: others on this thread get their turn here.
        tokio::task::consume_budget().await;
    }
}

/// Accepts connections.
async fn streams(tcp: TcpListener, shared: Arc<Shared>) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = open.join_next() => continue,
            accepted = tcp.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let (shared, place) = (shared.clone(), shared.connections.open(client.ip()));
                open.spawn(async move { shared.connection(stream, client.ip(), &place).await });
            }
            Err(error) if exhausted(&error) => {
                shared.connections.close_one();
                sleep(BREATH).await;
            }
            // This one went before it was taken.
            Err(_) => {}
        }
    }
}

/// Whether the machine or the process has no room for one more connection.
fn exhausted(error: &io::Error) -> bool {
    let reason = error.raw_os_error().map(Errno::from_raw);
    matches!(reason, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
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
            let answer = match reply(&self.slot, &self.forwarded, &question, true, client).await {
                Reply::Silence => return Ok(()),
                Reply::Answer(answer) => answer,
                Reply::Waiting(answer) => answer.await,
            };
            if answer.is_empty() {
                return Ok(());
            }
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
