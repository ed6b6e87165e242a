//! Keys and certificates for upstream's programs, made anew for each start.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};

/// A user: name of the kubeconfig file, common name, group.
pub type User = (&'static str, &'static str, &'static str);

/// The administrator, in a group of no special rights: RBAC decides about it.
pub const ADMIN: User = ("admin", "admin", "bench:admins");

/// Writes `ca.crt`, `server.crt`, `server.key`, `sa.key`, `sa.pub` and a kubeconfig for each user into a directory.
pub fn write(dir: &Path, server: &str, users: &[User]) -> Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = params("bench-ca", "");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::from_params(&ca, &ca_key);
    std::fs::write(dir.join("ca.crt"), &ca_pem)?;

    let key = KeyPair::generate()?;
    let mut of_server = params("kube-apiserver", "");
    of_server.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    of_server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    std::fs::write(dir.join("server.crt"), of_server.signed_by(&key, &issuer)?.pem())?;
    std::fs::write(dir.join("server.key"), key.serialize_pem())?;
    let signing = KeyPair::generate()?;
    std::fs::write(dir.join("sa.key"), signing.serialize_pem())?;
    std::fs::write(dir.join("sa.pub"), signing.public_key_pem())?;

    for (file, name, group) in users {
        let key = KeyPair::generate()?;
        let mut of_user = params(name, group);
        of_user.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = of_user.signed_by(&key, &issuer)?.pem();
        std::fs::write(dir.join(format!("{file}.conf")), kubeconfig(server, &ca_pem, &certificate, &key.serialize_pem()))?;
    }
    Ok(())
}

fn params(name: &str, group: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if !group.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params
}

fn kubeconfig(server: &str, ca: &str, certificate: &str, key: &str) -> String {
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: bench\n\
         contexts: [{{name: bench, context: {{cluster: bench, user: bench}}}}]\n\
         clusters: [{{name: bench, cluster: {{server: \"https://{server}\", certificate-authority-data: {}}}}}]\n\
         users: [{{name: bench, user: {{client-certificate-data: {}, client-key-data: {}}}}}]\n",
        encode(ca),
        encode(certificate),
        encode(key)
    )
}
