//! The listener: accepts, as long as there is room.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper_util::server::graceful::GracefulShutdown;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use transport::Body;

use crate::connection::connection;
use crate::limits::PAUSE;
use crate::line::Line;
use crate::slots::{Bounds, Slots};

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// What the client's certificate said.
    type Peer: Send + Sync + 'static;

    /// Reads the client's certificate, if there is one; says whether it shows who the client is.
    fn peer(&self, chain: &[CertificateDer<'_>]) -> (Self::Peer, bool);

    /// Answers one request. `line` is to be told when the client has shown who it is.
    fn answer(
        self: Arc<Self>,
        request: Request<Body>,
        peer: Arc<Self::Peer>,
        line: Arc<Line>,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Answers a request that is not looked at: its head is too long, most likely. As it stands here, it is what Go's
    /// server says.
    fn refuse(&self, code: StatusCode) -> Response<Body> {
        let mut response = Response::new(transport::full(code.to_string()));
        *response.status_mut() = code;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

/// Where connections come in.
pub struct Door {
    /// The bound port.
    pub listener: TcpListener,
    /// Certificate, and the wish to see the client's.
    pub tls: Arc<rustls::ServerConfig>,
    /// The most connections, see [`crate::share`].
    pub most: usize,
    /// How long open requests may take to end after the listener was told to stop.
    pub grace: Duration,
}

/// Serves connections until `stop`, and then until the open requests have ended or their time is over.
pub async fn serve<S: Service>(door: Door, service: Arc<S>, stop: CancellationToken) {
    let (acceptor, graceful) = (TlsAcceptor::from(door.tls), GracefulShutdown::new());
    let slots = Slots::new(Bounds { all: door.most });
    loop {
        let accepted = tokio::select! {
            accepted = door.listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => match slots.enter(address.ip().to_canonical()) {
                Some((line, slot)) => {
                    let (service, acceptor, watcher) = (service.clone(), acceptor.clone(), graceful.watcher());
                    tokio::spawn(connection(service, acceptor, stream, line, slot, watcher));
                }
                None => tracing::debug!(%address, "too many connections: one was refused"),
            },
            Err(error) => {
                // Out of file descriptors, most likely: the listener itself stays good.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(door.listener);
    if tokio::time::timeout(door.grace, graceful.shutdown()).await.is_err() {
        tracing::debug!("some requests had not ended");
        slots.close();
    }
}
