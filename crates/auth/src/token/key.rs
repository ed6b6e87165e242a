//! The keys behind the tokens: RSA (RS256) and the curves P-256 and P-384 (ES256, ES384).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::KeyError;

/// A key that signs, in the forms that are needed.
pub(super) struct Key {
    pub(super) encoding: EncodingKey,
    pub(super) public: Public,
}

/// A key that verifies.
#[derive(Clone)]
pub(super) struct Public {
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
    /// Upstream's key id: the hash of the public key in its standard form.
    pub(super) id: String,
    /// As it is published.
    pub(super) published: Value,
}

fn failed(why: &dyn std::fmt::Display) -> KeyError {
    KeyError(why.to_string())
}

impl Key {
    /// Reads a private key, PEM.
    pub(super) fn read(pem: &str) -> Result<Key, KeyError> {
        let pair = KeyPair::from_pem(pem).map_err(|e| failed(&e))?;
        let public = Public::of(&pair.subject_public_key_info())?;
        let encoding = match public.algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            // Keys of curves are read in PKCS #8 alone, and there are those of SEC 1.
            _ => EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()),
        };
        Ok(Key { encoding: encoding.map_err(|e| failed(&e))?, public })
    }
}

impl Public {
    /// The public keys of a PEM text: public keys, certificates, or private keys (upstream:
    /// `keyutil.ParsePublicKeysPEM`).
    pub(super) fn read_all(pem: &str) -> Result<Vec<Public>, KeyError> {
        let mut keys = Vec::new();
        for block in Pem::iter_from_buffer(pem.as_bytes()) {
            let block = block.map_err(|e| failed(&e))?;
            match block.label.as_str() {
                "PUBLIC KEY" => keys.push(Public::of(&block.contents)?),
                "CERTIFICATE" => {
                    let certificate = block.parse_x509().map_err(|e| failed(&e))?;
                    keys.push(Public::of(certificate.public_key().raw)?);
                }
                "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => keys.push(Public::of_private(pem, &block)?),
                _ => {}
            }
        }
        if keys.is_empty() { Err(failed(&"data does not contain any valid RSA or ECDSA public keys")) } else { Ok(keys) }
    }

    fn of_private(pem: &str, block: &Pem) -> Result<Public, KeyError> {
        let keys = rustls_pki_types::PrivateKeyDer::pem_slice_iter(pem.as_bytes());
        let same = |key: &rustls_pki_types::PrivateKeyDer<'_>| key.secret_der() == block.contents;
        let key = keys.filter_map(Result::ok).find(same).ok_or_else(|| failed(&"no private key"))?;
        let pair = KeyPair::try_from(&key).map_err(|e| failed(&e))?;
        Public::of(&pair.subject_public_key_info())
    }

    /// Reads a SubjectPublicKeyInfo, DER.
    fn of(spki: &[u8]) -> Result<Public, KeyError> {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki);
        let id = BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref());
        let (_, info) = SubjectPublicKeyInfo::from_der(spki).map_err(|e| failed(&e))?;
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match info.parsed().map_err(|e| failed(&e))? {
            PublicKey::RSA(key) => {
                let (n, e) = (text(unsigned(key.modulus)), text(unsigned(key.exponent)));
                let decoding = DecodingKey::from_rsa_components(&n, &e).map_err(|e| failed(&e))?;
                let published = json!({"use": "sig", "kty": "RSA", "kid": id, "alg": "RS256", "n": n, "e": e});
                Ok(Public { algorithm: Algorithm::RS256, decoding, id, published })
            }
            PublicKey::EC(point) => {
                let coordinates = point.data().strip_prefix(&[4]).unwrap_or_default();
                let (algorithm, name, curve) = match coordinates.len() {
                    64 => (Algorithm::ES256, "ES256", "P-256"),
                    96 => (Algorithm::ES384, "ES384", "P-384"),
                    _ => return Err(failed(&"unknown public key curve, must be 256 or 384")),
                };
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let (x, y) = (text(x), text(y));
                let decoding = DecodingKey::from_ec_components(&x, &y).map_err(|e| failed(&e))?;
                let published =
                    json!({"use": "sig", "kty": "EC", "kid": id, "crv": curve, "alg": name, "x": x, "y": y});
                Ok(Public { algorithm, decoding, id, published })
            }
            _ => Err(failed(&"unknown public key type, must be *rsa.PublicKey or *ecdsa.PublicKey")),
        }
    }
}

/// A number without the zeros that DER puts before it.
fn unsigned(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}
