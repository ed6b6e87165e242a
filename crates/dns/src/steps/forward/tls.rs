//! Name servers that are asked over TLS (RFC 7858): whom to trust, what to show, and the name that they must prove.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::corefile::{FOLDER, Fault, Files, Word};

/// How one name server is spoken to.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// With a name to prove; without one it is the address.
    pub(super) fn new(config: &Arc<ClientConfig>, name: Option<&str>, address: IpAddr) -> Result<Self, String> {
        let name = match name {
            None => ServerName::from(address),
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| format!("invalid TLS servername '{name}'"))?,
        };
        Ok(Tls { connector: TlsConnector::from(config.clone()), name })
    }

    pub(super) async fn connect(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// `tls [CERT KEY] [CA]`: keys of the ConfigMap. Without CA those are trusted that the machine trusts.
pub(super) fn config(files: &Files, name: &Word, args: &[Word]) -> Result<Arc<ClientConfig>, Fault> {
    let (pair, authority) = match args {
        [] => (None, None),
        [authority] => (None, Some(authority)),
        [chain, key] => (Some((chain, key)), None),
        [chain, key, authority] => (Some((chain, key)), Some(authority)),
        [.., last] => return Err(Fault::arguments(last)),
    };
    let mut roots = RootCertStore::empty();
    match authority {
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        Some(word) => {
            let (added, _) = roots.add_parsable_certificates(certificates(file(files, word)?).unwrap_or_default());
            if added == 0 {
                return Err(Fault::at(word.line, format!("could not read root certs: {}", word.text)));
            }
        }
    }
    let versions = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = versions.with_safe_default_protocol_versions().map_err(|error| Fault::at(name.line, error.to_string()))?;
    let builder = builder.with_root_certificates(roots);
    let Some((chain, key)) = pair else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let wrong = |error: String| Fault::at(chain.line, format!("could not load TLS cert: {error}"));
    let certificates = certificates(file(files, chain)?).map_err(wrong)?;
    let key = PrivateKeyDer::from_pem_slice(file(files, key)?.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let config = builder.with_client_auth_cert(certificates, key).map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(config))
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn file<'a>(files: &'a Files, word: &Word) -> Result<&'a str, Fault> {
    let text = word.text.strip_prefix(FOLDER).and_then(|key| files.get(key));
    let why = || format!("error reading {}: it is no key of the ConfigMap below {FOLDER}", word.text);
    text.map(String::as_str).ok_or_else(|| Fault::at(word.line, why()))
}

#[cfg(test)]
mod tests;
