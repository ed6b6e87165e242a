//! Connections to one webhook, and whom it has to be.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::CertificateError;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use transport::Body;

use super::place::Address;
use crate::kubelet::{NOT_ALLOWED, is_global};
use crate::limits;

/// One webhook.
pub struct Peer {
    tls: TlsConnector,
    idle: Mutex<Vec<(Instant, SendRequest<Body>)>>,
}

/// An answer, and the connection that it comes over.
pub type Answered = (Response<Incoming>, SendRequest<Body>);

impl Peer {
    /// One that shows a certificate of these authorities (PEM; none: those that the system trusts).
    pub fn new(bundle: &[u8]) -> Result<Peer, String> {
        let mut tls = auth::pki::bundle::config(bundle)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Peer { tls: TlsConnector::from(Arc::new(tls)), idle: Mutex::default() })
    }

    /// Sends a request over a connection that is there. Gives it back if there is none: nothing of it was sent then.
    pub async fn reuse(&self, mut request: Request<Body>) -> Result<Result<Answered, Box<Request<Body>>>, String> {
        while let Some(mut sender) = self.take() {
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok(Ok((answer, sender))),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(failed.into_error().to_string()),
                },
            }
        }
        Ok(Err(Box::new(request)))
    }

    /// Sends a request over a new connection to somebody who is called `name`.
    pub async fn send(&self, address: &Address, name: &str, request: Request<Body>) -> Result<Answered, String> {
        let mut sender = self.connect(address, name).await?;
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        Ok((answer, sender))
    }

    async fn connect(&self, address: &Address, name: &str) -> Result<SendRequest<Body>, String> {
        let host = if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
        let dialed = |why: String| format!("dial tcp {host}:{}: {why}", address.port);
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|e| dialed(told(&e)))?;
        let peer = stream.peer_addr().map_err(|e| dialed(told(&e)))?;
        // A name may lead anywhere.
        if address.global && !is_global(peer.ip()) {
            return Err(dialed(NOT_ALLOWED.to_owned()));
        }
        stream.set_nodelay(true).map_err(|e| dialed(told(&e)))?;
        let server = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
        let stream = self.tls.connect(server, stream).await.map_err(|e| untrusted(&e, name))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        // The task ends with the connection, which ends when nobody can send over it any more.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to a webhook broke");
            }
        });
        Ok(sender)
    }

    fn take(&self) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, sender)| since.elapsed() < limits::WEBHOOK_IDLE_TIME && !sender.is_closed());
        let ready = idle.iter().rposition(|(_, sender)| sender.is_ready())?;
        Some(idle.swap_remove(ready).1)
    }

    /// Keeps a connection whose answer was read.
    pub fn keep(&self, sender: SendRequest<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, sender)| since.elapsed() < limits::WEBHOOK_IDLE_TIME && !sender.is_closed());
        if idle.len() < limits::WEBHOOK_IDLE && !sender.is_closed() {
            idle.push((Instant::now(), sender));
        }
    }
}

/// What Go says of a connection that did not come about.
fn told(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        std::io::ErrorKind::TimedOut => "connect: connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

/// What Go says of a peer that is not the one that is wanted.
fn untrusted(error: &std::io::Error, name: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let why = match inner {
        Some(rustls::Error::InvalidCertificate(why)) => why,
        Some(other) => return format!("tls: {other}"),
        None => return error.to_string(),
    };
    let why = match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "certificate signed by unknown authority".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("certificate is not valid for {name}")
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "certificate has expired or is not yet valid".to_owned(),
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: x509: {why}")
}
