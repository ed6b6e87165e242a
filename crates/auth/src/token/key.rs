//! The key behind the tokens.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::{Value, json};

use super::KeyError;

/// An RSA key in the forms that are needed.
pub(super) struct Key {
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
    /// Upstream's key id: the hash of the public key in its standard form.
    pub(super) id: String,
    jwk: Jwk,
}

impl Key {
    /// Reads a private key, PEM.
    pub(super) fn read(pem: &str) -> Result<Key, KeyError> {
        let failed = |e: &dyn std::fmt::Display| KeyError(e.to_string());
        let encoding = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|e| failed(&e))?;
        let pair = rcgen::KeyPair::from_pem(pem).map_err(|e| failed(&e))?;
        let spki = rcgen::PublicKeyData::subject_public_key_info(&pair);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &spki);
        let id = BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref());
        let jwk = Jwk::from_encoding_key(&encoding, Algorithm::RS256).map_err(|e| failed(&e))?;
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|e| failed(&e))?;
        Ok(Key { encoding, decoding, id, jwk })
    }

    /// The public part as it is published.
    pub(super) fn public(&self) -> Value {
        let (n, e) = match &self.jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => (rsa.n.as_str(), rsa.e.as_str()),
            _ => ("", ""),
        };
        json!({"use": "sig", "kty": "RSA", "kid": self.id, "alg": "RS256", "n": n, "e": e})
    }
}
