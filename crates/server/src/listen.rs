//! Connections: TCP, TLS, HTTP/1.1 and HTTP/2.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use transport::Error;

use crate::pipeline::{self, Caller};
use crate::server::{Server, State};

/// The longest that a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long open requests may take to end after [`Server::stop`].
const GRACE: Duration = Duration::from_secs(10);
/// HTTP/2 windows and streams: upstream's. With smaller ones, many watches on one connection stall.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 25 * 1024 * 1024;
const STREAMS: u32 = 1000;
/// How often an idle HTTP/2 connection is asked for a sign of life, so that the watches of dead clients end.
const PING: Duration = Duration::from_secs(30);

impl Server {
    /// Serves connections until [`Server::stop`], and then until the open requests have ended or their
    /// time is over.
    pub async fn listen(&self, listener: TcpListener, tls: Arc<rustls::ServerConfig>) {
        let (acceptor, graceful) = (TlsAcceptor::from(tls), GracefulShutdown::new());
        let state = &self.0;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = state.stopping.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(connection(state.clone(), acceptor.clone(), stream, graceful.watcher()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: the listener itself stays good.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::debug!("some requests had not ended");
        }
    }
}

async fn connection(state: Arc<State>, acceptor: TlsAcceptor, stream: TcpStream, watcher: Watcher) {
    if let Err(error) = serve(state, acceptor, stream, watcher).await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn serve(state: Arc<State>, acceptor: TlsAcceptor, stream: TcpStream, watcher: Watcher) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = state.authentication.peer(chain, Timestamp::now()).map(Arc::new);
    let caller = Arc::new(Caller::Connection(peer));
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, caller) = (state.clone(), caller.clone());
        let request = request.map(|body| body.map_err(Error::from).boxed());
        async move { Ok::<_, Infallible>(pipeline::serve(&state, request, &caller).await) }
    });
    let builder = builder();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    watcher.watch(connection).await
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING);
    builder
}
