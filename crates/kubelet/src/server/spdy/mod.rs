//! SPDY/3.1, the server's side: how clients without WebSockets multiplex streams over one connection
//! (upstream: `streaming/pkg/httpstream/spdy`). There is no flow control beyond the connection's own: a
//! stream that nobody reads holds up the others.

pub mod channels;
mod dictionary;
pub mod frame;
pub mod headers;
pub mod upgrade;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use frame::{Frame, Reader, Writer};
use headers::Headers;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// As the `Upgrade` header names it.
pub const UPGRADE: &str = "SPDY/3.1";

/// Frames that wait to be sent, parts of data that wait to be read; who adds waits when it is full.
const QUEUE: usize = 16;
/// Streams of one connection that may be open at a time; more are refused.
const MOST_STREAMS: usize = 4096;
/// After the last frame, the other side gets this long to close.
const GOODBYE: Duration = Duration::from_secs(10);
const REFUSED_STREAM: u32 = 3;
const CANCEL: u32 = 5;

/// A connection. Dropping it ends it, after what is queued.
pub struct Connection {
    /// Streams as the client opens them; the end is the connection's.
    pub streams: mpsc::Receiver<Stream>,
    _end: DropGuard,
}

/// A stream that the client has opened.
pub struct Stream {
    /// Number, odd.
    pub id: u32,
    /// What it is for.
    pub headers: Headers,
    /// What comes; ends with the client's side of the stream.
    pub input: mpsc::Receiver<Bytes>,
    /// Our side.
    pub output: Sink,
    /// The client takes nothing any more.
    pub reset: CancellationToken,
}

/// Our side of a stream.
#[derive(Clone)]
pub struct Sink {
    id: u32,
    frames: mpsc::Sender<Frame>,
}

impl Sink {
    /// Sends. False when the connection is gone.
    pub async fn send(&self, data: Bytes) -> bool {
        self.put(Frame::Data { stream: self.id, fin: false, data }).await
    }

    /// Says that nothing more comes.
    pub async fn end(&self) {
        self.put(Frame::Data { stream: self.id, fin: true, data: Bytes::new() }).await;
    }

    /// Gives the stream up, in both directions.
    pub async fn reset(&self) {
        self.put(Frame::Reset { stream: self.id, status: CANCEL }).await;
    }

    async fn put(&self, frame: Frame) -> bool {
        self.frames.send(frame).await.is_ok()
    }
}

/// Takes over a connection.
pub fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(io: S) -> std::io::Result<Connection> {
    let (read, write) = tokio::io::split(io);
    let (frames, queue) = mpsc::channel(QUEUE);
    let (opened, streams) = mpsc::channel(1);
    let end = CancellationToken::new();
    let writer = Writer::new(tokio::io::BufWriter::new(write))?;
    tokio::spawn(send(writer, queue));
    let reading = Reading { reader: Reader::new(read), inputs: HashMap::new(), opened, frames };
    tokio::spawn(reading.run(end.clone()));
    Ok(Connection { streams, _end: end.drop_guard() })
}

async fn send<W: AsyncWrite + Unpin>(mut writer: Writer<W>, mut queue: mpsc::Receiver<Frame>) {
    let sent = async {
        while let Some(frame) = queue.recv().await {
            writer.write(&frame).await?;
            if queue.is_empty() {
                writer.flush().await?;
            }
        }
        writer.write(&Frame::GoAway { last: 0 }).await?;
        writer.flush().await?;
        writer.shutdown().await
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "a client is gone");
    }
}

struct Reading<R> {
    reader: Reader<R>,
    inputs: HashMap<u32, (mpsc::Sender<Bytes>, CancellationToken)>,
    opened: mpsc::Sender<Stream>,
    frames: mpsc::Sender<Frame>,
}

impl<R: AsyncRead + Unpin> Reading<R> {
    async fn run(mut self, end: CancellationToken) {
        if let Some(Err(error)) = end.run_until_cancelled(self.take()).await {
            tracing::debug!(%error, "a stream broke");
        }
        let Reading { mut reader, inputs, opened, frames } = self;
        inputs.values().for_each(|(_, reset)| reset.cancel());
        drop((inputs, opened, frames));
        // Unread bytes would make the kernel take back what was sent last.
        let rest = async { while let Ok(Some(_)) = reader.next().await {} };
        let _ = tokio::time::timeout(GOODBYE, rest).await;
    }

    async fn take(&mut self) -> std::io::Result<()> {
        while let Some(frame) = self.reader.next().await? {
            match frame {
                Frame::SynStream { stream, fin, headers } => self.open(stream, fin, headers).await,
                Frame::Data { stream, fin, data } => {
                    if let Some((input, _)) = self.inputs.get(&stream).filter(|_| !data.is_empty()) {
                        // Nobody may read it any more.
                        let _ = input.send(data).await;
                    }
                    if fin {
                        self.inputs.remove(&stream);
                    }
                }
                Frame::Reset { stream, .. } => {
                    if let Some((_, reset)) = self.inputs.remove(&stream) {
                        reset.cancel();
                    }
                }
                Frame::Ping(id) if id % 2 == 1 => drop(self.frames.send(Frame::Ping(id)).await),
                Frame::GoAway { .. } | Frame::Ping(_) | Frame::SynReply { .. } => {}
            }
        }
        Ok(())
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) {
        self.inputs.retain(|_, (input, _)| !input.is_closed());
        if self.inputs.len() >= MOST_STREAMS {
            let _ = self.frames.send(Frame::Reset { stream: id, status: REFUSED_STREAM }).await;
            return;
        }
        let (sender, input) = mpsc::channel(QUEUE);
        let reset = CancellationToken::new();
        if !fin {
            self.inputs.insert(id, (sender, reset.clone()));
        }
        let _ = self.frames.send(Frame::SynReply { stream: id, headers: Headers::new() }).await;
        let output = Sink { id, frames: self.frames.clone() };
        let _ = self.opened.send(Stream { id, headers, input, output, reset }).await;
    }
}
