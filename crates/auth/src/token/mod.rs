//! Service-account tokens: signing, checking, and what is published about the key
//! (upstream: `pkg/serviceaccount`).

pub mod claims;
mod key;
mod request;

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde_json::{Value, json};

use crate::pki::Pki;
pub use claims::Claims;
use key::Key;
pub use request::Issuance;

/// Path of the discovery document.
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Path of the key set.
pub const KEYS_PATH: &str = "/openid/v1/jwks";

/// A key that cannot be used, or a token that cannot be made.
#[derive(Clone, Debug, thiserror::Error)]
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

/// A key that is read when it is first needed.
type Pending = LazyLock<Result<Key, KeyError>, Box<dyn FnOnce() -> Result<Key, KeyError> + Send + Sync>>;

/// Signs tokens and checks signatures.
pub struct Tokens {
    issuer: String,
    audiences: Vec<String>,
    key: Pending,
}

impl Tokens {
    /// `issuer` is the URL under which the tokens are issued, and the API server's own audience;
    /// `key_pem` an RSA private key.
    pub fn new(issuer: &str, key_pem: &str) -> Result<Tokens, KeyError> {
        let key = Key::read(key_pem)?;
        Ok(Tokens::with(issuer, Box::new(move || Ok(key))))
    }

    /// The same with the cluster's key, which may still be in the making: the first token waits for it.
    pub fn deferred(issuer: &str, pki: Arc<Pki>) -> Tokens {
        let key = move || Key::read(pki.signing_key_made().map_err(|e| KeyError(e.to_string()))?);
        Tokens::with(issuer, Box::new(key))
    }

    fn with(issuer: &str, key: Box<dyn FnOnce() -> Result<Key, KeyError> + Send + Sync>) -> Tokens {
        let key = LazyLock::new(key);
        Tokens { issuer: issuer.to_owned(), audiences: vec![issuer.to_owned()], key }
    }

    fn key(&self) -> Result<&Key, KeyError> {
        self.key.as_ref().map_err(Clone::clone)
    }

    /// The audiences of tokens for the API server itself.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Signs the claims; `iss` is filled in.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let key = self.key()?;
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(key.id.clone());
        // Upstream's tokens carry no `typ`.
        header.typ = None;
        let claims = Claims { iss: self.issuer.clone(), ..claims.clone() };
        jsonwebtoken::encode(&header, &claims, &key.encoding).map_err(|e| KeyError(e.to_string()))
    }

    /// The claims of a token with a good signature. Times, audiences and the objects it is bound to
    /// are not checked here.
    pub fn verify(&self, token: &str) -> Result<Claims, Foreign> {
        if unverified_issuer(token).as_deref() != Some(self.issuer.as_str()) {
            return Err(Foreign::NotOurs);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Foreign::NotOurs)?;
        let key = self.key().map_err(|e| Foreign::Forged(e.to_string()))?;
        if header.kid.as_ref().is_some_and(|kid| *kid != key.id) {
            return Err(Foreign::Forged("invalid signature, no keys found".to_owned()));
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let verified = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation);
        verified.map(|data| data.claims).map_err(|e| Foreign::Forged(e.to_string()))
    }

    /// The key set at [`KEYS_PATH`]; without a key there is none in it.
    pub fn keys(&self) -> Value {
        let keys: Vec<Value> = self.key().iter().map(|key| key.public()).collect();
        json!({"keys": keys})
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
