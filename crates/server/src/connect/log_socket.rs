//! A log over a WebSocket, one message a piece (upstream: `wsstream.Reader`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use meta::Status;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};
use transport::Body;

const BINARY: &str = "binary.k8s.io";
const BASE64: &str = "base64.binary.k8s.io";

/// Whether the client wants a WebSocket.
pub fn wanted(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    super::upgrade::wanted(headers) && upgrade.eq_ignore_ascii_case("websocket")
}

/// Answers with the switch of protocols; then the body follows, and the end.
pub fn answer(headers: &HeaderMap, client: Option<OnUpgrade>, body: Body) -> Result<Response<Body>, Status> {
    let Some(client) = client else { return Err(Status::bad_request("this connection cannot be upgraded")) };
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| Status::bad_request("the Sec-WebSocket-Key header is missing"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(Status::internal)?;
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    let offered: Vec<&str> = offered.flat_map(|v| v.split(',')).map(str::trim).collect();
    let protocol = [BINARY, BASE64].into_iter().find(|p| offered.contains(p)).unwrap_or("");
    let as_text = protocol == BASE64;
    tokio::spawn(async move {
        match client.await {
            Ok(upgraded) => {
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
                if let Err(error) = copy(socket, body, as_text).await {
                    tracing::debug!(%error, "a log's reader is gone");
                }
            }
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    let mut response = Response::new(transport::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert(UPGRADE, HeaderValue::from_static("websocket"));
    out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    out.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if !protocol.is_empty() {
        out.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(response)
}

async fn copy(
    socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, mut body: Body, as_text: bool,
) -> Result<(), Error> {
    let message = |data: Bytes| {
        if as_text { Message::text(STANDARD.encode(&data)) } else { Message::Binary(data) }
    };
    let (mut sink, mut input) = socket.split();
    // The client has nothing to say but that it goes.
    let gone = async { while let Some(Ok(_)) = input.next().await {} };
    let sent = async {
        sink.send(message(Bytes::new())).await?;
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                sink.send(message(data)).await?;
            }
        }
        sink.close().await
    };
    tokio::select! {
        sent = sent => sent,
        () = gone => Ok(()),
    }
}
