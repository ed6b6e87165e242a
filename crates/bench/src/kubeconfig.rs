//! The address and the credentials in `admin.conf`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    clusters: Vec<Cluster>,
    users: Vec<User>,
}

#[derive(Deserialize)]
struct Cluster {
    cluster: Server,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Server {
    server: String,
    certificate_authority_data: String,
}

#[derive(Deserialize)]
struct User {
    user: Certificate,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Certificate {
    client_certificate_data: String,
    client_key_data: String,
}

/// Reads the first cluster and the first user.
pub fn read(path: &Path) -> Result<(SocketAddr, Arc<rustls::ClientConfig>)> {
    open(path, true)
}

/// Reads the first cluster alone: connections show no certificate.
pub fn outside(path: &Path) -> Result<(SocketAddr, Arc<rustls::ClientConfig>)> {
    open(path, false)
}

fn open(path: &Path, shows: bool) -> Result<(SocketAddr, Arc<rustls::ClientConfig>)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let file: File = serde_saphyr::from_str(&text)?;
    let server = &file.clusters.first().context("no cluster")?.cluster;
    let user = &file.users.first().context("no user")?.user;
    let address = server.server.trim_start_matches("https://").parse().context("the server's address")?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem(&server.certificate_authority_data)?)?)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(&user.client_certificate_data)?).collect();
    let key = PrivateKeyDer::from_pem_slice(&pem(&user.client_key_data)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots);
    let config = if shows { config.with_client_auth_cert(chain?, key)? } else { config.with_no_client_auth() };
    Ok((address, Arc::new(config)))
}

fn pem(data: &str) -> Result<Vec<u8>> {
    BASE64_STANDARD.decode(data).context("base64")
}
