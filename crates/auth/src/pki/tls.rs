//! TLS with certificates that replace themselves: at each handshake the current one is used, and if it
//! is due, a fresh one is issued first. No timer, nothing to forget.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme, version,
};

use super::{Error, Issued, Leaf, Pki};

/// The cryptography that everything here uses.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A certificate that is replaced when it is due.
struct Rotating {
    pki: Arc<Pki>,
    leaf: Leaf,
    current: RwLock<(Arc<CertifiedKey>, Issued)>,
}

impl Rotating {
    fn new(pki: Arc<Pki>, leaf: Leaf) -> Result<Rotating, Error> {
        let first = fresh(&pki, &leaf)?;
        Ok(Rotating { pki, leaf, current: RwLock::new(first) })
    }

    fn key(&self) -> Arc<CertifiedKey> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if !current.1.due(Timestamp::now()) {
            return current.0.clone();
        }
        drop(current);
        match fresh(&self.pki, &self.leaf) {
            Ok(next) => {
                tracing::info!(name = %self.leaf.common_name, "certificate renewed");
                let key = next.0.clone();
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
                key
            }
            Err(error) => {
                tracing::warn!(name = %self.leaf.common_name, %error, "certificate not renewed");
                self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone()
            }
        }
    }
}

fn fresh(pki: &Pki, leaf: &Leaf) -> Result<(Arc<CertifiedKey>, Issued), Error> {
    let issued = pki.issue(leaf, Timestamp::now())?;
    let key = aws_lc_rs::sign::any_supported_type(&issued.key())
        .map_err(|e| Error::Make { what: format!("the key of {}", leaf.common_name), reason: e.to_string() })?;
    Ok((Arc::new(CertifiedKey::new(vec![issued.certificate.clone()], key)), issued))
}

impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rotating({})", self.leaf.common_name)
    }
}

impl ResolvesServerCert for Rotating {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

impl ResolvesClientCert for Rotating {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The verifier of client certificates signed by one of these authorities.
pub fn client_verifier(roots: &[CertificateDer<'_>]) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let roots = Arc::new(root_store(roots)?);
    let built = WebPkiClientVerifier::builder_with_provider(roots, provider()).allow_unauthenticated().build();
    built.map_err(|e| Error::Make { what: "the verifier of client certificates".to_owned(), reason: e.to_string() })
}

fn root_store(roots: &[CertificateDer<'_>]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store
            .add(root.clone().into_owned())
            .map_err(|e| Error::Make { what: "the list of authorities".to_owned(), reason: e.to_string() })?;
    }
    Ok(store)
}

/// The side that is connected to. Clients may show a certificate. A handshake proves only that the
/// client holds its key: whether the certificate is good decides [`crate::authn::x509`], so that a
/// stale one is answered with 401 and not with a broken connection (as upstream's `RequestClientCert`).
pub fn server_config(pki: &Arc<Pki>, leaf: Leaf) -> Result<Arc<ServerConfig>, Error> {
    serving(Arc::new(Rotating::new(pki.clone(), leaf)?), &[pki.cluster().certificate().clone()])
}

/// The same with a certificate that others made (PEM: the chain, end entity first, and its private key). Clients are
/// told that certificates of these authorities are good.
pub fn server_config_of(chain: &str, key: &str, authorities: &[CertificateDer<'_>]) -> Result<Arc<ServerConfig>, Error> {
    let make = |reason: String| Error::Make { what: "the serving certificate".to_owned(), reason };
    let chain = certificates(chain).map_err(make)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| make(format!("the private key: {e}")))?;
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|e| make(e.to_string()))?;
    serving(Arc::new(SingleCertAndKey::from(key)), authorities)
}

/// The certificates of a PEM text: at least one.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|e| e.to_string())?;
    if all.is_empty() { Err("data does not contain any valid RSA or ECDSA certificates".to_owned()) } else { Ok(all) }
}

fn serving(key: Arc<dyn ResolvesServerCert>, authorities: &[CertificateDer<'_>]) -> Result<Arc<ServerConfig>, Error> {
    let verifier = client_verifier(authorities)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|e| Error::Make { what: "the TLS configuration".to_owned(), reason: e.to_string() })?;
    let mut config = builder.with_client_cert_verifier(Arc::new(ProofOfKey(verifier))).with_cert_resolver(key);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The side that connects, with a certificate, and trusts the cluster's authority.
pub fn client_config(pki: &Arc<Pki>, leaf: Leaf) -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|e| Error::Make { what: "the TLS configuration".to_owned(), reason: e.to_string() })?;
    let mut config = builder
        .with_root_certificates(root_store(&[pki.cluster().certificate().clone()])?)
        .with_client_cert_resolver(Arc::new(Rotating::new(pki.clone(), leaf)?));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Checks that the client holds the key of the certificate it shows, and nothing else about it.
#[derive(Debug)]
struct ProofOfKey(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for ProofOfKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
