//! Connections to kubelets and pods: one a request, since they last as long as the stream that they carry.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meta::{Reason, Status};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use transport::long::Rest;
use transport::{Body, Error};

use crate::lengthened::Lengthened;

/// The longest that connecting may take, TLS included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Who is there.
    pub trust: Trust,
    /// Whether it must be a global unicast address, also after a name has been resolved.
    pub global: bool,
}

/// What upstream says of an address that must not be proxied to.
pub const NOT_ALLOWED: &str = "address not allowed";

/// Whether an address is global unicast as Go has it (`net.IP.IsGlobalUnicast`), also where it is IPv4 in IPv6 clothes.
pub fn is_global(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !local && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
}

/// Who is expected at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A kubelet: TLS both ways, as the API server.
    Kubelet,
    /// Anyone, over TLS that proves nothing.
    Anyone,
    /// Anyone, without TLS.
    Plain,
}

impl Address {
    /// As the `Host` header has it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.port)
    }

    /// Whether the API server has business of its own there.
    pub fn is_kubelet(&self) -> bool {
        self.trust == Trust::Kubelet
    }
}

/// Opens the connections.
pub struct Kubelets {
    tls: TlsConnector,
    anyone: TlsConnector,
}

impl Kubelets {
    /// With the API server's certificate. HTTP/1.1 is asked for: only it can be upgraded.
    pub fn new(tls: Arc<rustls::ClientConfig>) -> Self {
        let mut tls = rustls::ClientConfig::clone(&tls);
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut anyone = match auth::pki::unverified::config() {
            Ok(config) => config,
            Err(error) => unreachable!("the same provider made a configuration before: {error}"),
        };
        anyone.alpn_protocols.clone_from(&tls.alpn_protocols);
        Kubelets { tls: TlsConnector::from(Arc::new(tls)), anyone: TlsConnector::from(Arc::new(anyone)) }
    }

    /// Sends a request whose URI is a path and query, with the query's [`Rest`] beside it if it is long; without a `Host` it gets the address'.
    pub async fn send(&self, address: &Address, mut request: Request<Body>) -> Result<Response<Incoming>, Status> {
        let (authority, rest) = (address.authority(), request.extensions_mut().remove::<Rest>());
        let value = HeaderValue::from_str(&authority).map_err(Status::internal)?;
        request.headers_mut().entry(HOST).or_insert(value);
        let failed = |error: Error| unreachable(&authority, &error);
        let connected = tokio::time::timeout(PATIENCE, self.connect(address, rest)).await;
        let mut sender = match connected {
            Ok(connected) => connected.map_err(failed)?,
            Err(_) => return Err(failed("connection timed out".into())),
        };
        sender.send_request(request).await.map_err(|e| failed(e.into()))
    }

    async fn connect(&self, address: &Address, rest: Option<Rest>) -> Result<http1::SendRequest<Body>, Error> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        // A name may be resolved to anything.
        if address.global && !is_global(stream.peer_addr()?.ip()) {
            return Err(NOT_ALLOWED.into());
        }
        stream.set_nodelay(true)?;
        let tls = match address.trust {
            Trust::Plain => return handshake(Lengthened::new(stream, rest)).await,
            Trust::Kubelet => &self.tls,
            Trust::Anyone => &self.anyone,
        };
        let name = ServerName::try_from(address.host.clone())?;
        handshake(Lengthened::new(tls.connect(name, stream).await?, rest)).await
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
) -> Result<http1::SendRequest<Body>, Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The task ends with the connection, which ends when the response's body is dropped or upgraded.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a proxied connection broke");
        }
    });
    Ok(sender)
}

fn unreachable(authority: &str, error: &Error) -> Status {
    tracing::debug!(address = authority, %error, "cannot proxy");
    let mut status = Status::new(Reason::InternalError, format!("error dialing backend: {error} ({authority})"));
    status.code = 500;
    status
}

/// A response that is passed on as it comes.
pub fn pass_on(response: Response<Incoming>) -> Response<Body> {
    response.map(|body| body.map_err(Error::from).boxed())
}
