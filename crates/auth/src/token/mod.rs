//! Service-account tokens: signing, checking, and what is published about the key
//! (upstream: `pkg/serviceaccount`).

pub mod claims;
mod request;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

pub use claims::Claims;
pub use request::Issuance;

/// Path of the discovery document.
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Path of the key set.
pub const KEYS_PATH: &str = "/openid/v1/jwks";

/// A key that cannot be used, or a token that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("service-account key: {0}")]
pub struct KeyError(String);

/// Why a token is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// No token of our issuer at all: another authenticator may know it.
    NotOurs,
    /// It claims to be ours and is not.
    Forged(String),
}

/// Signs tokens and checks signatures.
pub struct Tokens {
    issuer: String,
    audiences: Vec<String>,
    encoding: EncodingKey,
    decoding: DecodingKey,
    jwk: Jwk,
    key_id: String,
}

impl Tokens {
    /// `issuer` is the URL under which the tokens are issued, and the API server's own audience;
    /// `key_pem` an RSA private key.
    pub fn new(issuer: &str, key_pem: &str) -> Result<Tokens, KeyError> {
        let failed = |e: &dyn std::fmt::Display| KeyError(e.to_string());
        let encoding = EncodingKey::from_rsa_pem(key_pem.as_bytes()).map_err(|e| failed(&e))?;
        let pair = rcgen::KeyPair::from_pem(key_pem).map_err(|e| failed(&e))?;
        // Upstream's key id: the hash of the public key in its standard form.
        let spki = rcgen::PublicKeyData::subject_public_key_info(&pair);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &spki);
        let key_id = BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref());
        let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::RS256).map_err(|e| failed(&e))?;
        jwk.common.key_id = Some(key_id.clone());
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|e| failed(&e))?;
        Ok(Tokens { issuer: issuer.to_owned(), audiences: vec![issuer.to_owned()], encoding, decoding, jwk, key_id })
    }

    /// The audiences of tokens for the API server itself.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Signs the claims; `iss` is filled in.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.key_id.clone());
        // Upstream's tokens carry no `typ`.
        header.typ = None;
        let claims = Claims { iss: self.issuer.clone(), ..claims.clone() };
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(|e| KeyError(e.to_string()))
    }

    /// The claims of a token with a good signature. Times, audiences and the objects it is bound to
    /// are not checked here.
    pub fn verify(&self, token: &str) -> Result<Claims, Foreign> {
        if unverified_issuer(token).as_deref() != Some(self.issuer.as_str()) {
            return Err(Foreign::NotOurs);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Foreign::NotOurs)?;
        if header.kid.as_ref().is_some_and(|kid| *kid != self.key_id) {
            return Err(Foreign::Forged("invalid signature, no keys found".to_owned()));
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let verified = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation);
        verified.map(|data| data.claims).map_err(|e| Foreign::Forged(e.to_string()))
    }

    /// The key set at [`KEYS_PATH`].
    pub fn keys(&self) -> Value {
        let (n, e) = match &self.jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => (rsa.n.as_str(), rsa.e.as_str()),
            _ => ("", ""),
        };
        json!({"keys": [{"use": "sig", "kty": "RSA", "kid": self.key_id, "alg": "RS256", "n": n, "e": e}]})
    }

    /// The discovery document at [`DISCOVERY_PATH`]; `address` is host and port of the API server as
    /// clients outside know it.
    pub fn discovery(&self, address: &str) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("https://{address}{KEYS_PATH}"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }
}

/// The issuer that a token names, whoever wrote it.
fn unverified_issuer(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Value = serde_json::from_slice(&bytes).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
