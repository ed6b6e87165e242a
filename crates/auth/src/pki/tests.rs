//! Authorities, certificates and their renewal.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, ServerConnection};

use super::*;
use crate::authn::Authenticator;
use crate::authn::x509::Certificates;

fn pki() -> (tempfile::TempDir, Arc<Pki>) {
    let directory = tempfile::tempdir().expect("a directory");
    let pki = Pki::open(&directory.path().join("pki"), Timestamp::now()).expect("opens");
    (directory, Arc::new(pki))
}

/// Carries bytes between the two until both are content; the error of the first that fails.
fn shake_hands(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), rustls::Error> {
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        wire.clear();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        server.read_tls(&mut wire.as_slice()).expect("memory");
        server.process_new_packets()?;
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("memory");
        }
        client.read_tls(&mut wire.as_slice()).expect("memory");
        client.process_new_packets()?;
    }
    Ok(())
}

fn connect(pki: &Arc<Pki>, client: Leaf, name: &str) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let addresses = [IpAddr::from([10, 96, 0, 1])];
    let server = tls::server_config(pki, Leaf::api_server("n1", "cluster.local", &addresses)).expect("a configuration");
    let client = tls::client_config(pki, client).expect("a configuration");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let (mut client, mut server) = (ClientConnection::new(client, name)?, ServerConnection::new(server)?);
    shake_hands(&mut client, &mut server)?;
    Ok((client, server))
}

#[tokio::test]
async fn a_handshake_by_every_name_and_the_user_comes_out() {
    let (_directory, pki) = pki();
    let certificates = Certificates::new(&[pki.cluster().certificate().clone()]).expect("a verifier");
    for name in ["kubernetes.default.svc.cluster.local", "localhost", "n1", "10.96.0.1", "127.0.0.1", "::1"] {
        let (mut client, mut server) = connect(&pki, Leaf::kubelet_client("n1"), name).expect("shakes hands");
        let chain = server.peer_certificates().expect("shown");
        let now = Timestamp::now();
        let peer = certificates.peer(chain, now).expect("there is one");
        let credentials = crate::Credentials { peer: Some(&peer), ..Default::default() };
        let user = certificates.authenticate(&credentials, now).await.expect("good").expect("known");
        let groups = ["system:nodes", "system:authenticated"].map(str::to_owned);
        assert_eq!((user.name.as_str(), user.groups.as_slice()), ("system:node:n1", &groups[..]));
        assert!(
            certificates.authenticate(&credentials, now + SECONDS_OF_TWO_YEARS).await.is_err(),
            "expired meanwhile"
        );
        client.writer().write_all(b"hello").expect("memory");
        shake_hands(&mut client, &mut server).expect("no error");
        let mut heard = [0; 5];
        server.reader().read_exact(&mut heard).expect("arrived");
        assert_eq!(&heard, b"hello");
    }
    assert!(connect(&pki, Leaf::admin(), "example.com").is_err(), "a name that is not in the certificate");
}

#[tokio::test]
async fn certificates_of_others_or_for_other_uses_are_no_identity() {
    let (_directory, ours) = pki();
    let (_other, theirs) = pki();
    let certificates = Certificates::new(&[ours.cluster().certificate().clone()]).expect("a verifier");
    let now = Timestamp::now();
    let issue = |pki: &Pki, leaf: Leaf| pki.issue(&leaf, now).expect("issued").certificate;
    let bad = [
        issue(&theirs, Leaf::admin()),
        issue(&ours, Leaf::kubelet_server("n1", &[])),
        issue(&ours, Leaf::front_proxy_client()),
        CertificateDer::from(b"rubbish".to_vec()),
    ];
    for certificate in bad {
        let peer = certificates.peer(&[certificate], now).expect("there is one");
        let credentials = crate::Credentials { peer: Some(&peer), ..Default::default() };
        assert!(certificates.authenticate(&credentials, now).await.is_err());
    }
    let admin = issue(&ours, Leaf::admin());
    let later = certificates.peer(&[admin], now + SECONDS_OF_TWO_YEARS).expect("there is one");
    let credentials = crate::Credentials { peer: Some(&later), ..Default::default() };
    assert!(certificates.authenticate(&credentials, now).await.is_err(), "expired at the handshake");
}

const SECONDS_OF_TWO_YEARS: jiff::SignedDuration = jiff::SignedDuration::from_hours(2 * 365 * 24);

#[test]
fn files_are_private_and_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pki");
    let now = Timestamp::now();
    let first = Pki::open(&path, now).expect("opens");
    let key = first.signing_key().to_owned();
    let mode = |p: &Path| std::fs::metadata(p).expect("exists").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in std::fs::read_dir(&path).expect("reads") {
        assert_eq!(mode(&entry.expect("reads").path()), 0o600);
    }
    let second = Pki::open(&path, now).expect("opens again");
    assert_eq!(first.cluster().certificate_pem(), second.cluster().certificate_pem());
    assert_eq!(second.signing_key(), key);
    std::fs::write(path.join("ca.crt"), "rubbish").expect("writes");
    assert!(matches!(Pki::open(&path, now), Err(Error::Damaged { .. })));
    std::fs::write(path.join("ca.crt"), first.cluster().certificate_pem()).expect("writes");
    std::fs::remove_file(path.join("ca.key")).expect("removes");
    assert!(matches!(Pki::open(&path, now), Err(Error::HalfPair { .. })));
}

#[test]
fn leaves_fall_due_in_time_and_never_outlive_the_authority() {
    let (_directory, pki) = pki();
    let now = Timestamp::now();
    let issued = pki.issue(&Leaf::admin(), now).expect("issued");
    assert!(!issued.due(now));
    assert!(issued.due(now + SECONDS_OF_TWO_YEARS / 2 * 7 / 10));
    assert!(issued.due(now - jiff::SignedDuration::from_hours(48)), "the clock was set back: it is not valid yet");
    let late = pki.cluster().not_after() - jiff::SignedDuration::from_hours(24);
    assert_eq!(pki.issue(&Leaf::admin(), late).expect("issued").not_after, pki.cluster().not_after());
}

#[test]
fn a_kubeconfig_carries_everything() {
    let (_directory, pki) = pki();
    let (text, _) = pki.kubeconfig("https://127.0.0.1:6443", &Leaf::admin(), Timestamp::now()).expect("made");
    assert!(text.contains("server: https://127.0.0.1:6443\n"));
    assert!(text.contains("current-context: kubernetes-admin@kubernetes\n"));
    assert_eq!(text.matches("-data: LS0tLS1CRUdJTi").count(), 3, "three PEM texts");
}

/// As OpenSSL, Go and Java read it: a version, the number, the curve by its name, and the public key (RFC 5915).
#[test]
fn a_key_is_written_as_kubeadm_writes_it() {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;

    let (_directory, pki) = pki();
    let issued = pki.issue(&Leaf::admin(), Timestamp::now()).expect("issued");
    let lines: Vec<&str> = issued.key_pem.lines().collect();
    let (first, last) = (lines.first().copied(), lines.last().copied());
    assert_eq!((first, last), (Some("-----BEGIN EC PRIVATE KEY-----"), Some("-----END EC PRIVATE KEY-----")));
    assert!(lines[1..lines.len() - 2].iter().all(|line| line.len() == 64));
    let der = BASE64_STANDARD.decode(lines[1..lines.len() - 1].concat()).expect("base64");
    assert_eq!(der[..7], [0x30, 0x77, 2, 1, 1, 4, 32]);
    let curve = [0xa0, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 0xa1, 0x44, 3, 0x42, 0, 4];
    assert_eq!(der[39..39 + curve.len()], curve);
    assert!(issued.key().secret_der().windows(32).any(|number| *number == der[7..39]), "it is another key");
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("a key");
    let chain = vec![issued.certificate.clone()];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = rustls::sign::CertifiedKey::from_der(chain, key, &provider).expect("belongs to the certificate");
    key.keys_match().expect("belongs to the certificate");
}
