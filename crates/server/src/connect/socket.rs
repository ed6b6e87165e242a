//! WebSockets on which the server alone speaks: a log, one message a piece, and a watch, one message an event
//! (upstream: `wsstream.Reader`, `WatchServer.HandleWS`).

use std::pin::pin;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use futures::{SinkExt, Stream};
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use meta::Status;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use transport::Body;

use crate::flow::outlet::{Elsewhere, Events};
use crate::negotiate::Format;

const BINARY: &str = "binary.k8s.io";
const BASE64: &str = "base64.binary.k8s.io";
/// The client has nothing to say; what it says nevertheless is read past, a message of so many bytes at a time.
const LARGEST: usize = 64 << 10;
/// How long a client may leave a message where it is.
const PATIENCE: Duration = Duration::from_secs(60);
/// After our last message, the client gets this long to close.
const GOODBYE: Duration = Duration::from_secs(10);

/// Whether the client wants a WebSocket.
pub fn wanted(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    super::upgrade::wanted(headers) && upgrade.eq_ignore_ascii_case("websocket")
}

/// Answers with the switch of protocols; then the log follows, and the end.
pub fn log(headers: &HeaderMap, client: Option<OnUpgrade>, body: Body) -> Result<Response<Body>, Status> {
    let offered = offered(headers);
    let protocol = [BINARY, BASE64].into_iter().find(|p| offered.contains(p)).unwrap_or("");
    let as_text = protocol == BASE64;
    let message = move |data: Bytes| match as_text {
        true => Message::text(STANDARD.encode(&data)),
        false => Message::Binary(data),
    };
    open(headers, client, protocol, stream::once(async { Bytes::new() }).chain(pieces(body)).map(message))
}

/// The same with the events of a watch. Any protocol will do, as upstream's library has it; clients are not asked where
/// they come from (it refuses those that do not say), since no credentials of browsers are taken.
pub fn watch(
    headers: &HeaderMap, client: Option<OnUpgrade>, body: Body, format: Format,
) -> Result<Response<Body>, Status> {
    let protocol = offered(headers).first().copied().unwrap_or("");
    let messages = move |batch: Bytes| match format {
        Format::Protobuf => stream::iter(frames(batch)),
        _ => stream::iter(lines(batch)),
    };
    let (elsewhere, turn) = Elsewhere::new();
    // It waits for its turn here, which comes with the answer, and holds it as any watch does.
    let events = stream::once(async move {
        match turn.await {
            Ok(turn) => Events::new(pieces(body).boxed(), turn).boxed(),
            Err(_) => pieces(body).boxed(),
        }
    });
    let mut response = open(headers, client, protocol, events.flatten().flat_map(messages))?;
    response.extensions_mut().insert(elsewhere);
    Ok(response)
}

/// Lines, each with its end.
fn lines(batch: Bytes) -> Vec<Message> {
    let ends = batch.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let mut from = 0;
    let line = |to: usize| batch.slice(std::mem::replace(&mut from, to)..to);
    // A line is JSON, and so text.
    ends.map(line).filter_map(|line| Utf8Bytes::try_from(line).ok()).map(Message::Text).collect()
}

/// What follows its length in four bytes; messages have no need of it.
fn frames(mut batch: Bytes) -> Vec<Message> {
    let mut all = Vec::new();
    while let Some((length, _)) = batch.split_first_chunk::<4>() {
        let end = 4 + u32::from_be_bytes(*length) as usize;
        if end > batch.len() {
            break;
        }
        all.push(Message::Binary(batch.split_to(end).slice(4..)));
    }
    all
}

fn pieces(body: Body) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(body, |mut body| async move {
        loop {
            match body.frame().await?.ok()?.into_data() {
                Ok(data) => return Some((data, body)),
                Err(_) => continue,
            }
        }
    })
}

fn offered(headers: &HeaderMap) -> Vec<&str> {
    let all = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    let all = all.flat_map(|v| v.split(',')).map(str::trim);
    all.filter(|protocol| !protocol.is_empty() && !protocol.starts_with(super::upgrade::BEARER)).collect()
}

fn open(
    headers: &HeaderMap,
    client: Option<OnUpgrade>,
    protocol: &str,
    messages: impl Stream<Item = Message> + Send + 'static,
) -> Result<Response<Body>, Status> {
    let Some(client) = client else { return Err(Status::bad_request("this connection cannot be upgraded")) };
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| Status::bad_request("the Sec-WebSocket-Key header is missing"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(Status::internal)?;
    let mut response = Response::new(transport::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert(UPGRADE, HeaderValue::from_static("websocket"));
    out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    out.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if !protocol.is_empty() {
        out.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol).map_err(Status::internal)?);
    }
    tokio::spawn(async move {
        match client.await {
            Ok(upgraded) => {
                let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
                let socket =
                    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
                if let Err(error) = send(socket, messages).await {
                    tracing::debug!(%error, "the reader of a WebSocket is gone");
                }
            }
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    Ok(response)
}

/// Sends messages until they end or the client goes, and closes as RFC 6455 has it, whoever begins.
async fn send(socket: WebSocketStream<TokioIo<Upgraded>>, messages: impl Stream<Item = Message>) -> Result<(), Error> {
    let (mut sink, mut input) = socket.split();
    let mut messages = pin!(messages);
    let sent = async {
        let late = |_| Error::Io(std::io::ErrorKind::TimedOut.into());
        while let Some(message) = messages.next().await {
            timeout(PATIENCE, sink.send(message)).await.map_err(late)??;
        }
        let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("") };
        timeout(PATIENCE, sink.send(Message::Close(Some(normal)))).await.map_err(late)?
    };
    // Reading on after the client's goodbye answers it; then there is no more.
    let gone = async { while let Some(Ok(_)) = input.next().await {} };
    tokio::select! {
        sent = sent => sent?,
        () = gone => return Ok(()),
    }
    // A client that does not answer has had its time.
    let _ = timeout(GOODBYE, async { while let Some(Ok(_)) = input.next().await {} }).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_a_message() {
        let text = |messages: Vec<Message>| messages.into_iter().map(|m| m.into_text().expect("text").to_string()).collect::<Vec<_>>();
        assert_eq!(text(lines(Bytes::from_static(b"{\"a\":1}\n{\"b\":\"\xc3\xa4\"}\n"))), ["{\"a\":1}\n", "{\"b\":\"ä\"}\n"]);
        assert!(lines(Bytes::new()).is_empty());
        let mut batch = bytes::BytesMut::new();
        schema::proto::watch_frame("ADDED", b"one", &mut batch);
        let one = batch[4..].to_vec();
        schema::proto::watch_frame("DELETED", b"other", &mut batch);
        let data: Vec<Bytes> = frames(batch.freeze()).into_iter().map(Message::into_data).collect();
        assert_eq!(data.len(), 2);
        assert!(data[0].windows(3).any(|w| w == b"one") && data[1].windows(5).any(|w| w == b"other"));
        assert_eq!(data[0][..], one);
    }

    #[test]
    fn credentials_are_no_protocol() {
        let mut headers = HeaderMap::new();
        headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("base64url.bearer.authorization.k8s.io.eA, v1"));
        headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v2"));
        assert_eq!(offered(&headers), ["v1", "v2"]);
    }
}
