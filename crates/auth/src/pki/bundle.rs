//! TLS towards those whose authorities somebody names: webhooks (upstream: `client-go/rest`, `TLSClientConfig`).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A configuration that trusts whom these authorities (PEM) signed, or where none are named whom the system trusts. No
/// certificate of ours is shown.
pub fn config(bundle: &[u8]) -> Result<ClientConfig, String> {
    let named: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok).collect();
    if named.is_empty() && !bundle.is_empty() {
        return Err("unable to load root certificates: unable to parse bytes as PEM block".to_owned());
    }
    let mut roots = RootCertStore::empty();
    let trusted = if bundle.is_empty() { rustls_native_certs::load_native_certs().certs } else { named.clone() };
    roots.add_parsable_certificates(trusted);
    let provider = super::tls::provider();
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    // Without any authority nobody is trusted.
    if roots.is_empty() {
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let verifier = Arc::new(Named::new(named, roots)?);
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Takes what the authorities signed, and a certificate that is named itself, as Go does.
#[derive(Debug)]
struct Named {
    named: Vec<CertificateDer<'static>>,
    chains: Arc<WebPkiServerVerifier>,
}

impl Named {
    fn new(named: Vec<CertificateDer<'static>>, roots: RootCertStore) -> Result<Self, String> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), super::tls::provider());
        Ok(Named { named, chains: builder.build().map_err(|e| e.to_string())? })
    }

    fn verify_itself(&self, shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), rustls::Error> {
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
        let (_, read) = X509Certificate::from_der(shown).map_err(|_| CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now > read.validity().not_after.timestamp() {
            return Err(CertificateError::Expired.into());
        }
        if now < read.validity().not_before.timestamp() {
            return Err(CertificateError::NotValidYet.into());
        }
        Ok(())
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self, shown: &CertificateDer<'_>, others: &[CertificateDer<'_>], name: &ServerName<'_>, ocsp: &[u8], now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.named.iter().any(|named| named == shown) {
            return self.verify_itself(shown, name, now).map(|()| ServerCertVerified::assertion());
        }
        self.chains.verify_server_cert(shown, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::pki::{Leaf, Pki};

    #[test]
    fn who_is_named_or_signed_by_who_is_named_is_trusted() {
        let (ours, theirs) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
        let pki = |directory: &tempfile::TempDir| Pki::open(directory.path(), Timestamp::now()).expect("keys");
        let (ours, theirs) = (pki(&ours), pki(&theirs));
        let leaf = ours.issue(&Leaf::api_server("localhost", "cluster.local", &[]), Timestamp::now()).expect("issued").certificate;
        let verdict = |named: &CertificateDer<'static>, name: &'static str, days: u64| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates([named.clone(), theirs.cluster().certificate().clone()]);
            let verifier = Named::new(vec![named.clone()], roots).expect("is made");
            let now = UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs() + days * 86_400));
            verifier.verify_server_cert(&leaf, &[], &ServerName::try_from(name).expect("a name"), &[], now).map(drop)
        };
        let authority = ours.cluster().certificate();
        assert_eq!(verdict(authority, "localhost", 0), Ok(()));
        assert_eq!(verdict(&leaf, "localhost", 0), Ok(()), "it is named itself, and no authority");
        // Theirs has the same name, and another key.
        assert_eq!(verdict(theirs.cluster().certificate(), "localhost", 0), Err(CertificateError::BadSignature.into()));
        for named in [authority, &leaf] {
            assert!(matches!(verdict(named, "elsewhere", 0), Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))));
            assert!(verdict(named, "localhost", 40_000).is_err(), "its time is over");
        }
    }

    #[test]
    fn a_bundle_without_a_certificate_is_none() {
        assert_eq!(config(b"x").map(drop), Err("unable to load root certificates: unable to parse bytes as PEM block".to_owned()));
        assert!(config(b"").is_ok(), "the system's");
    }
}
