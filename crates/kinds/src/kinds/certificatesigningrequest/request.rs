//! What is asked for: a request of PKCS #10 in PEM (upstream: `pkg/apis/certificates/helpers.go`).

use base64::Engine;
use meta::Object;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

use crate::validate::pem;

/// A field of bytes, decoded.
pub(super) fn bytes(object: &Object, path: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(object.str_at(path)).unwrap_or_default()
}

fn request(object: &Object) -> Result<Vec<u8>, String> {
    let first = pem::blocks(&bytes(object, "spec.request")).into_iter().next();
    let first = first.filter(|block| block.label == "CERTIFICATE REQUEST");
    first.map(|block| block.der).ok_or_else(|| "PEM block type must be CERTIFICATE REQUEST".to_owned())
}

fn parsed<T>(der: &[u8], read: impl FnOnce(&X509CertificationRequest<'_>) -> T) -> Result<T, String> {
    let (rest, parsed) = X509CertificationRequest::from_der(der).map_err(|error| format!("asn1: structure error: {error}"))?;
    if rest.is_empty() { Ok(read(&parsed)) } else { Err("asn1: syntax error: trailing data".to_owned()) }
}

/// Whether it is a request that whoever has the key has signed.
pub(super) fn check(object: &Object) -> Result<(), String> {
    parsed(&request(object)?, |request| {
        let key = &request.certification_request_info.subject_pki.algorithm.algorithm;
        request.verify_signature().map_err(|_| {
            let why = match key {
                rsa if *rsa == OID_PKCS1_RSAENCRYPTION => "crypto/rsa: verification error",
                ec if *ec == OID_KEY_TYPE_EC_PUBLIC_KEY => "x509: ECDSA verification failure",
                _ => "x509: Ed25519 verification failure",
            };
            why.to_owned()
        })
    })?
}

/// Whom a certificate is to be about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The user, where it is a client's certificate.
    pub common_name: String,
    /// Its groups.
    pub organizations: Vec<String>,
}

/// Whom the certificate is to be about; the error says why nobody knows, in upstream's words.
pub fn subject(object: &Object) -> Result<Subject, String> {
    let text = |part: &AttributeTypeAndValue<'_>| part.as_str().unwrap_or_default().to_owned();
    parsed(&request(object)?, |request| {
        let name = &request.certification_request_info.subject;
        let common_name = name.iter_common_name().last().map(text).unwrap_or_default();
        Subject { common_name, organizations: name.iter_organization().map(text).collect() }
    })
}

/// What is wrong with what was issued: nothing, or certificates in PEM.
pub(super) fn certificate(text: &[u8]) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let blocks = pem::blocks(text);
    for block in &blocks {
        if block.label != "CERTIFICATE" {
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.label));
        }
        if block.has_headers {
            return Err("no PEM block headers are permitted".to_owned());
        }
        let mut rest = &*block.der;
        if rest.is_empty() {
            return Err("found CERTIFICATE PEM block containing 0 certificates".to_owned());
        }
        while !rest.is_empty() {
            (rest, _) = X509Certificate::from_der(rest).map_err(|_| "x509: malformed certificate".to_owned())?;
        }
    }
    if blocks.is_empty() { Err("must contain at least one CERTIFICATE PEM block".to_owned()) } else { Ok(()) }
}
