//! WebSockets: with channels, where the first byte of each binary message names its channel
//! (upstream: `streaming/pkg/httpstream/wsstream`), or as a tunnel for another protocol's bytes.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::SplitSink;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use transport::{Body, empty};

use super::channels::{Input, Output};
use super::text;

/// Bytes on their way through a tunnel.
const TUNNEL: usize = 64 * 1024;
/// After our last message, the other side gets this long to close.
const GOODBYE: Duration = Duration::from_secs(10);

/// An open socket.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether the client wants a WebSocket.
pub fn wanted(headers: &HeaderMap) -> bool {
    has(headers, &header::UPGRADE, "websocket") && has(headers, &header::CONNECTION, "upgrade")
}

/// Whether a header has this word, in any case.
pub fn has(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    headers.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.to_ascii_lowercase().contains(word))
}

/// Switches protocols and runs `session` on the connection; answers the request.
pub fn upgrade<F>(
    mut request: Request<Body>, protocols: &[&'static str],
    session: impl FnOnce(Socket, &'static str) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    let headers = request.headers();
    if !wanted(headers) {
        return text(StatusCode::BAD_REQUEST, "Upgrade request required");
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).cloned() else {
        return text(StatusCode::BAD_REQUEST, "the Sec-WebSocket-Key header is missing");
    };
    let Ok(protocol) = agree(headers, protocols) else {
        return text(StatusCode::FORBIDDEN, "unable to upgrade: unable to negotiate protocol");
    };
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrading.await {
            Ok(upgraded) => {
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
                session(socket, protocol).await;
            }
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if !protocol.is_empty() {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static(protocol));
    }
    response
}

/// The first of the client's protocols that this side speaks.
fn agree(headers: &HeaderMap, ours: &[&'static str]) -> Result<&'static str, ()> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    let offered: Vec<&str> = offered.flat_map(|v| v.split(',')).map(str::trim).collect();
    if offered.is_empty() {
        return Ok("");
    }
    offered.iter().find_map(|o| ours.iter().find(|p| *p == o)).copied().ok_or(())
}

/// Runs `session` with the socket's channels, then closes it.
pub async fn with_channels<F: Future<Output = ()>>(socket: Socket, session: impl FnOnce(Input, Output) -> F) {
    let (sink, input) = socket.split();
    let (output, queue) = Output::new();
    // A message, or the end; what has no channel is left out.
    let (messages, taken) = mpsc::channel(super::channels::QUEUE);
    let reader = tokio::spawn(async move {
        let mut input = input;
        while let Some(data) = payload(&mut input).await {
            if let Some(channel) = data.first() {
                // The session may have ended; then only the client's goodbye is waited for.
                let _ = messages.send((*channel, data.slice(1..))).await;
            }
        }
    });
    let writer = tokio::spawn(write(sink, queue));
    let input = futures::stream::unfold(taken, |mut taken| async move { Some((taken.recv().await?, taken)) });
    session(input.boxed(), output).await;
    let _ = writer.await;
    let abort = reader.abort_handle();
    if tokio::time::timeout(GOODBYE, reader).await.is_err() {
        abort.abort();
    }
}

async fn write(mut sink: SplitSink<Socket, Message>, mut queue: mpsc::Receiver<(u8, Bytes)>) {
    while let Some((channel, data)) = queue.recv().await {
        let mut message = Vec::with_capacity(data.len() + 1);
        message.push(channel);
        message.extend_from_slice(&data);
        if sink.send(Message::Binary(Bytes::from(message))).await.is_err() {
            return;
        }
    }
    goodbye(&mut sink).await;
}

async fn goodbye(sink: &mut (impl SinkExt<Message, Error = Error> + Unpin)) {
    let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("") };
    let _ = sink.send(Message::Close(Some(normal))).await;
    let _ = sink.flush().await;
}

/// The bytes of the next message; `None` at the end. The client's goodbye is not the end: reading on answers it.
async fn payload(input: &mut (impl StreamExt<Item = Result<Message, Error>> + Unpin)) -> Option<Bytes> {
    loop {
        match input.next().await?.ok()? {
            Message::Binary(data) => return Some(data),
            Message::Text(text) => return Some(text.into()),
            _ => {}
        }
    }
}

/// The socket as a plain stream of bytes: messages carry them, their boundaries mean nothing.
pub fn tunnel(socket: Socket) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(TUNNEL);
    tokio::spawn(async move {
        let (mut sink, mut input) = socket.split();
        let (mut read, mut write) = tokio::io::split(ours);
        let up = async {
            while let Some(data) = payload(&mut input).await {
                if write.write_all(&data).await.is_err() {
                    break;
                }
            }
            let _ = write.shutdown().await;
        };
        let down = async {
            let mut buffer = vec![0; TUNNEL];
            while let Ok(n @ 1..) = read.read(&mut buffer).await {
                if sink.send(Message::Binary(Bytes::copy_from_slice(&buffer[..n]))).await.is_err() {
                    break;
                }
            }
            goodbye(&mut sink).await;
        };
        tokio::join!(up, down);
    });
    theirs
}
