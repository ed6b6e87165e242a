//! Client certificates of the cluster's authority: common name = user, organizations = groups
//! (upstream: `apiserver/pkg/authentication/request/x509`).

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use meta::{Info, User};
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

use super::{Authenticator, Credentials, Unauthorized};
use crate::pki;

/// What a connection's client certificate says: worked out once, at its handshake.
#[derive(Clone, Debug)]
pub struct Peer {
    identity: Result<User, String>,
    not_after: Timestamp,
}

impl Peer {
    /// Whether the certificate shows who the client is.
    pub fn is_good(&self) -> bool {
        self.identity.is_ok()
    }
}

/// The authenticator.
pub struct Certificates {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Certificates {
    /// Accepts certificates that these authorities signed for clients.
    pub fn new(authorities: &[CertificateDer<'_>]) -> Result<Self, pki::Error> {
        Ok(Certificates { verifier: pki::tls::client_verifier(authorities)? })
    }

    /// Checks chain, usage and validity of what a client showed, end entity first; `None` if it showed nothing.
    pub fn peer(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Option<Peer> {
        let (end_entity, intermediates) = chain.split_first()?;
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_second().max(0).unsigned_abs()));
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, at);
        let read = verified.map_err(|e| e.to_string()).and_then(|_| read(end_entity));
        Some(match read {
            Ok((user, not_after)) => Peer { identity: Ok(user), not_after },
            Err(why) => Peer { identity: Err(why), not_after: Timestamp::MAX },
        })
    }
}

/// User and end of validity.
fn read(der: &CertificateDer<'_>) -> Result<(User, Timestamp), String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|e| e.to_string())?;
    let subject = certificate.subject();
    let text = |part: &AttributeTypeAndValue<'_>| part.as_str().map(str::to_owned).unwrap_or_default();
    let name = subject.iter_common_name().last().map(text).unwrap_or_default();
    if name.is_empty() {
        return Err("the certificate's subject has no common name".to_owned());
    }
    let mut user = Info { name, groups: subject.iter_organization().map(text).collect(), ..Info::default() };
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("X509SHA256={hex}")]);
    let not_after = Timestamp::from_second(certificate.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX);
    Ok((super::with_authenticated(user.into()), not_after))
}

#[async_trait]
impl Authenticator for Certificates {
    fn name(&self) -> &'static str {
        "x509"
    }

    async fn authenticate(&self, credentials: &Credentials<'_>, now: Timestamp) -> Result<Option<User>, Unauthorized> {
        let Some(peer) = credentials.peer else {
            return Ok(None);
        };
        if now > peer.not_after {
            // A connection may outlive the certificate that opened it.
            return Err(Unauthorized("the certificate has expired".to_owned()));
        }
        peer.identity.clone().map(Some).map_err(Unauthorized)
    }
}
