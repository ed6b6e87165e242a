//! A certificate authority, and what it issues.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::leaf::{Leaf, Usage};
use super::{Error, authority_life, leaf_life};

/// Clocks of machines differ: what is valid now is valid for one that is this much behind.
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// Sets a certificate's time fields, whose type is the certificate library's own.
macro_rules! date {
    ($at:expr) => {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(($at).as_second().max(0).unsigned_abs())
    };
}

/// An authority that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    not_after: Timestamp,
}

/// A certificate with its private key.
pub struct Issued {
    /// PEM.
    pub certificate_pem: String,
    /// PEM, SEC 1 (`EC PRIVATE KEY`), as kubeadm writes it: clients in Java take a PKCS #8 for one of RSA.
    pub key_pem: String,
    /// DER.
    pub certificate: CertificateDer<'static>,
    /// When it ends.
    pub not_after: Timestamp,
    term: Term,
    key: Vec<u8>,
}

/// When a certificate is to be used.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// From then on it is valid.
    pub from: Timestamp,
    /// From then on it is time to replace it: a third of its life is left.
    pub until: Timestamp,
}

impl Term {
    /// Whether it is time to replace it. It is also when it is not valid yet: the clock was set back since it was issued.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until || now < self.from
    }
}

impl Issued {
    /// Whether it is time to replace it.
    pub fn due(&self, now: Timestamp) -> bool {
        self.term.is_over(now)
    }

    /// When it is to be used.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The private key, DER.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }
}

/// A new authority as two PEM texts: certificate and key.
pub(super) fn create(name: &str, now: Timestamp) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
    params.not_before = date!(now - BACKDATED);
    params.not_after = date!(now + authority_life());
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

impl Authority {
    /// Reads an authority from its two PEM texts. The error says which is wrong and how.
    pub fn read(certificate_pem: &str, key_pem: &str) -> Result<Authority, String> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes())
            .map_err(|e| format!("the certificate is not PEM: {e}"))?;
        let parsed = pem.parse_x509().map_err(|e| format!("the certificate cannot be read: {e}"))?;
        let key = KeyPair::from_pem(key_pem).map_err(|e| format!("the key cannot be read: {e}"))?;
        if parsed.public_key().subject_public_key.data != key.public_key_raw() {
            return Err("the key does not belong to the certificate".to_owned());
        }
        let not_after = Timestamp::from_second(parsed.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX);
        let certificate = CertificateDer::from(pem.contents.clone());
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|e| e.to_string())?;
        Ok(Authority { issuer, certificate_pem: certificate_pem.to_owned(), certificate, not_after })
    }

    /// The authority's certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's certificate, DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// When the authority ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Signs a certificate for a new key.
    pub fn issue(&self, leaf: &Leaf, now: Timestamp) -> Result<Issued, Error> {
        let make = |reason: String| Error::Make { what: format!("the certificate of {}", leaf.common_name), reason };
        let not_after = (now + leaf_life()).min(self.not_after);
        let key = KeyPair::generate().map_err(|e| make(e.to_string()))?;
        let params = params(leaf, now - BACKDATED, not_after).map_err(|e| make(e.to_string()))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|e| make(e.to_string()))?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            key_pem: sec1(&key.serialize_der()).map_err(make)?,
            certificate: certificate.der().clone(),
            not_after,
            term: Term { from: now - BACKDATED, until: now + not_after.duration_since(now) * 2 / 3 },
            key: key.serialize_der(),
        })
    }
}

/// A key of PKCS #8 as SEC 1 has it (RFC 5915), PEM.
fn sec1(key: &[u8]) -> Result<String, String> {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key).map_err(|e| e.to_string())?;
    let der: EcPrivateKeyRfc5915Der = key.private_key().as_der().map_err(|e| e.to_string())?;
    let text = BASE64_STANDARD.encode(der.as_ref());
    let lines: Vec<String> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    Ok(format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", lines.join("\n")))
}

fn params(leaf: &Leaf, not_before: Timestamp, not_after: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for organization in &leaf.organizations {
        params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
    }
    params.distinguished_name.push(DnType::CommonName, leaf.common_name.as_str());
    for name in &leaf.dns {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(leaf.ips.iter().copied().map(SanType::IpAddress));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![match leaf.usage {
        Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.not_before = date!(not_before);
    params.not_after = date!(not_after);
    Ok(params)
}
