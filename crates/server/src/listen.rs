//! Connections from outside, as the server serves them.

use std::sync::Arc;

use auth::authn::x509::Peer;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use listen::{Door, Line, Service};
use meta::{Reason, Status};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpListener;
use transport::Body;

use crate::answer;
use crate::limits;
use crate::negotiate::Format;
use crate::pipeline::{self, Caller};
use crate::server::{Server, State};

impl Server {
    /// Serves connections until [`Server::stop`], and then until the open requests have ended or their
    /// time is over.
    pub async fn listen(&self, listener: TcpListener, tls: Arc<rustls::ServerConfig>) {
        let (most, grace) = (listen::share(limits::DESCRIPTORS), limits::GRACE);
        let door = Door { listener, tls, most, grace };
        listen::serve(door, self.0.clone(), self.0.stopping.clone()).await;
    }
}

impl Service for State {
    type Peer = Option<Peer>;

    fn peer(&self, chain: &[CertificateDer<'_>]) -> (Option<Peer>, bool) {
        let peer = self.authentication.peer(chain, Timestamp::now());
        let known = peer.as_ref().is_some_and(Peer::is_good);
        (peer, known)
    }

    async fn answer(self: Arc<Self>, request: Request<Body>, peer: Arc<Option<Peer>>, line: Arc<Line>) -> Response<Body> {
        pipeline::serve(&self, request, &Caller::Connection(peer, line)).await
    }

    fn refuse(&self, code: StatusCode) -> Response<Body> {
        let reason = match code {
            StatusCode::BAD_REQUEST => Reason::BadRequest,
            StatusCode::SERVICE_UNAVAILABLE => Reason::ServiceUnavailable,
            _ => Reason::Unknown,
        };
        let message = code.canonical_reason().unwrap_or_default();
        answer::status(Format::Json, &Status { code: code.as_u16(), ..Status::new(reason, message) })
    }
}
