//! One of the two servers as a client sees it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::transcript::Case;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who asks, unless a case says otherwise.
const AGENT: &str = "oracle/v1 (linux/amd64)";

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Name (in lower case) and value, in order.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Answer {
    /// The first header of that name, or empty.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

/// How long an answer is waited for, and the time between two questions.
const LONGEST: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Certificates to show and to trust.
#[derive(Clone)]
pub struct Tls {
    known: Arc<ClientConfig>,
    anonymous: Arc<ClientConfig>,
}

impl Tls {
    /// Reads them from PEM texts.
    pub fn new(ca: &str, certificate: &str, key: &str) -> Result<Tls> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = || -> Result<_> {
            let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
            Ok(builder.with_root_certificates(roots.clone()))
        };
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
        Ok(Tls {
            known: Arc::new(builder()?.with_client_auth_cert(chain, key)?),
            anonymous: Arc::new(builder()?.with_no_client_auth()),
        })
    }
}

/// A server and what was kept of its answers.
pub struct Side {
    address: SocketAddr,
    tls: Tls,
    connections: HashMap<bool, http1::SendRequest<Full<Bytes>>>,
    kept: HashMap<String, String>,
}

impl Side {
    pub fn new(address: SocketAddr, tls: Tls) -> Side {
        Side { address, tls, connections: HashMap::new(), kept: HashMap::new() }
    }

    /// The same server and the same values, over connections of its own.
    pub fn another(&self) -> Side {
        Side { address: self.address, tls: self.tls.clone(), connections: HashMap::new(), kept: self.kept.clone() }
    }

    /// Sets a value that later cases use.
    pub fn set(&mut self, name: &str, value: &str) {
        self.kept.insert(name.to_owned(), value.to_owned());
    }

    /// The text with the values kept from this side's answers.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, tail)) = after.split_once("}}") else { break };
            out.push_str(before);
            match self.kept.get(name) {
                Some(value) => out.push_str(value),
                None => out.extend(["{{", name, "}}"]),
            }
            rest = tail;
        }
        out + rest
    }

    /// Sends a case and reads the answer.
    pub async fn ask(&mut self, case: &Case) -> Result<Answer> {
        // A server may close a connection that it kept; a second attempt gets a new one.
        match self.try_ask(case).await {
            Ok(answer) => Ok(answer),
            Err(_) => {
                self.connections.remove(&case.anonymous);
                self.try_ask(case).await.with_context(|| format!("{} {}", case.method, case.path))
            }
        }
    }

    /// Asks, and asks again while the answer is not the one that the case waits for.
    pub async fn ask_until(&mut self, case: &Case) -> Result<Answer> {
        let end = Instant::now() + LONGEST;
        loop {
            let answer = self.ask(case).await?;
            if case.until.is_none_or(|status| answer.status == status) || Instant::now() > end {
                return Ok(answer);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_ask(&mut self, case: &Case) -> Result<Answer> {
        let body = match std::str::from_utf8(&case.body) {
            Ok(text) => Bytes::from(self.fill(text)),
            Err(_) => Bytes::from(case.body.clone()),
        };
        let mut request = hyper::Request::builder().method(case.method.as_str()).uri(self.fill(&case.path));
        request = request.header("Host", self.address.to_string());
        for (name, value) in &case.headers {
            request = request.header(name, self.fill(value));
        }
        if !case.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            request = request.header("User-Agent", AGENT);
        }
        let request = request.body(Full::new(body))?;
        let sender = self.connection(case.anonymous).await?;
        let answer = tokio::time::timeout(PATIENCE, async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            anyhow::Ok((head, body.collect().await?.to_bytes()))
        });
        let (head, body) = answer.await.context("no answer in time")??;
        let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Ok(Answer { status: head.status.as_u16(), headers, body })
    }

    async fn connection(&mut self, anonymous: bool) -> Result<&mut http1::SendRequest<Full<Bytes>>> {
        let open = match self.connections.get_mut(&anonymous) {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !open {
            let config = if anonymous { &self.tls.anonymous } else { &self.tls.known };
            let stream = tokio::net::TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::from(self.address.ip());
            let stream = tokio_rustls::TlsConnector::from(config.clone()).connect(name, stream).await?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            self.connections.insert(anonymous, sender);
        }
        self.connections.get_mut(&anonymous).context("was just opened")
    }
}
