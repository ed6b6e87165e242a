//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use transport::{Body, Error};

use crate::answer::Begun;
use crate::first;
use crate::heads::{self, Heads};
use crate::limits::{
    CONNECTION_WINDOW, ERROR_STREAMS, FIELD, HANDSHAKE, HEAD_BYTES, HEAD_READ, PING, RESET_STREAMS, STREAM_WINDOW, STREAMS,
};
use crate::line::Line;
use crate::received::Received;
use crate::serve::Service;
use crate::slots::Slot;
use crate::wire::Wire;

/// Serves it to its end.
pub async fn connection<S: Service>(
    service: Arc<S>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    line: Arc<Line>,
    slot: Slot,
    watcher: Watcher,
) {
    // A task of its own: its clock is not looked at whenever a byte comes.
    let mut talk = tokio::spawn(talk(service, acceptor, stream, line.clone(), slot, watcher));
    let why = tokio::select! {
        talked = &mut talk => match talked {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        },
        () = line.closed() => "it gave way to another".to_owned(),
        () = line.expired() => "its client neither spoke nor listened".to_owned(),
    };
    talk.abort();
    tracing::debug!(error = why, "a connection ended");
}

async fn talk<S: Service>(
    service: Arc<S>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    line: Arc<Line>,
    slot: Slot,
    watcher: Watcher,
) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let tls = stream.get_ref().1;
    let (peer, known) = service.peer(tls.peer_certificates().unwrap_or_default());
    if known {
        line.known();
    }
    let mut rest_of_path = None;
    if tls.alpn_protocol() == Some(b"h2") {
        line.has_streams();
        rest_of_path = Some(heads::field()?);
    }
    let heads = rest_of_path.clone().map(|name| Heads::new(name, first::room()));
    let (peer, wire) = (Arc::new(peer), TokioIo::new(Wire::new(stream, line.clone(), slot, heads)));
    let service = service_fn(move |request: Request<Incoming>| {
        let (service, peer, line) = (service.clone(), peer.clone(), line.clone());
        let (begun, method, version) = (Begun::new(line.clone()), request.method().clone(), request.version());
        let rest_of_path = rest_of_path.clone();
        async move {
            let (mut request, unread) = Received::wrap(request, &line);
            let cut = match rest_of_path.and_then(|name| request.headers_mut().remove(name)) {
                Some(_) if request.uri().query().is_none() => Some(Err(StatusCode::URI_TOO_LONG)),
                Some(rest) => Some(first::rest(rest.to_str().unwrap_or_default())),
                None if begun.is_first() => line.take_cut(),
                None => None,
            };
            let response = match cut.transpose() {
                Ok(_) if head(&request) > HEAD_BYTES => service.refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
                Ok(rest) => {
                    rest.map(|rest| request.extensions_mut().insert(rest));
                    service.answer(request, peer, line).await
                }
                Err(code) if version == Version::HTTP_2 => service.refuse(code),
                Err(code) => closing(service.refuse(code)),
            };
            Ok::<_, Infallible>(begun.answer(response, &method, version, unread.as_deref()))
        }
    });
    let builder = builder();
    watcher.watch(builder.serve_connection_with_upgrades(wire, service)).await
}

/// The last answer of a connection, over HTTP/1.1.
fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// How long the head of a request is, in bytes, counted as HTTP/2 does (RFC 9113, 6.5.2). Over HTTP/1.1 one that is too long
/// never comes so far.
fn head(request: &Request<Body>) -> usize {
    if request.version() != Version::HTTP_2 {
        return 0;
    }
    let line = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD);
    line + fields.sum::<usize>()
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(ERROR_STREAMS)
        .max_header_list_size(HEAD_READ)
        .keep_alive_interval(PING);
    builder
}
