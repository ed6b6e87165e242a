//! WebSockets with channels: the first byte of each binary message names its channel
//! (upstream: `apimachinery/pkg/util/httpstream/wsstream`).

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use transport::{Body, empty};

use super::text;

/// Messages that wait to be sent; writers wait when it is full.
const QUEUE: usize = 16;
/// Channel that tells, in version 5, that another one is closed.
pub const CLOSE: u8 = 255;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// An open connection.
pub struct Channels {
    /// What the client sends.
    pub input: SplitStream<Socket>,
    /// What the client gets.
    pub output: Output,
    /// The protocol that was agreed upon; empty for none.
    pub protocol: &'static str,
}

/// Sends messages; cheap to clone. The connection closes when all are gone.
#[derive(Clone)]
pub struct Output(mpsc::Sender<Vec<u8>>);

impl Output {
    /// Sends on a channel. False when the client is gone.
    pub async fn send(&self, channel: u8, data: &[u8]) -> bool {
        let mut message = Vec::with_capacity(data.len() + 1);
        message.push(channel);
        message.extend_from_slice(data);
        self.0.send(message).await.is_ok()
    }
}

/// Switches protocols and runs `session` on the connection; answers the request.
pub fn upgrade<F>(
    mut request: Request<Incoming>, protocols: &[&'static str], session: impl FnOnce(Channels) -> F + Send + 'static,
) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    let headers = request.headers();
    let wants = |name, value: &str| {
        headers.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.to_ascii_lowercase().contains(value))
    };
    if !wants(header::UPGRADE, "websocket") || !wants(header::CONNECTION, "upgrade") {
        return text(StatusCode::BAD_REQUEST, "Upgrade request required: this server speaks WebSocket");
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
                let (sink, input) = socket.split();
                let (sender, queue) = mpsc::channel(QUEUE);
                let writer = tokio::spawn(write(sink, queue));
                session(Channels { input, output: Output(sender), protocol }).await;
                let _ = writer.await;
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

async fn write(mut sink: SplitSink<Socket, Message>, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = queue.recv().await {
        if sink.send(Message::Binary(Bytes::from(message))).await.is_err() {
            return;
        }
    }
    let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("") };
    let _ = sink.send(Message::Close(Some(normal))).await;
    let _ = sink.close().await;
}

/// Channel and data of the next message; `None` at the end.
pub async fn receive(input: &mut SplitStream<Socket>) -> Option<(u8, Vec<u8>)> {
    loop {
        let data = match input.next().await?.ok()? {
            Message::Binary(data) => data.to_vec(),
            Message::Text(text) => text.as_bytes().to_vec(),
            Message::Close(_) => return None,
            _ => continue,
        };
        if let Some((channel, data)) = data.split_first() {
            return Some((*channel, data.to_vec()));
        }
    }
}
