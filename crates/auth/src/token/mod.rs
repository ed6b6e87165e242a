//! Service-account tokens: signing, checking, and what is published about the key
//! (upstream: `pkg/serviceaccount`).

pub mod claims;
mod key;
mod request;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Header, Validation};
use serde_json::{Value, json};

use crate::pki::Pki;
pub use claims::Claims;
use key::{Key, Public};
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

/// The key that signs, and those whose signatures are good.
struct Keys {
    signing: Key,
    accepted: Vec<Public>,
}

impl Keys {
    /// One key for both.
    fn of(key: Key) -> Keys {
        Keys { accepted: vec![key.public.clone()], signing: key }
    }
}

/// Keys that are read when they are first needed.
type Pending = LazyLock<Result<Keys, KeyError>, Box<dyn FnOnce() -> Result<Keys, KeyError> + Send + Sync>>;

/// Signs tokens and checks signatures.
pub struct Tokens {
    /// The first is written into tokens, all are accepted.
    issuers: Vec<String>,
    audiences: Vec<String>,
    keys: Pending,
}

impl Tokens {
    /// `issuer` is the URL under which the tokens are issued, and the API server's own audience;
    /// `key_pem` a private key.
    pub fn new(issuer: &str, key_pem: &str) -> Result<Tokens, KeyError> {
        let keys = Keys::of(Key::read(key_pem)?);
        Ok(Tokens::with(issuer, Box::new(move || Ok(keys))))
    }

    /// The same with the cluster's key, which may still be in the making: the first token waits for it.
    pub fn deferred(issuer: &str, pki: Arc<Pki>) -> Tokens {
        let key = move || Key::read(pki.signing_key_made().map_err(|e| KeyError(e.to_string()))?).map(Keys::of);
        Tokens::with(issuer, Box::new(key))
    }

    /// Signs with the private key `signing`, and accepts what the keys in `accepted` have signed (PEM: public keys,
    /// certificates, private keys).
    pub fn from_files(issuer: &str, signing: &str, accepted: &[String]) -> Result<Tokens, KeyError> {
        let signing = Key::read(signing)?;
        let accepted: Vec<Vec<Public>> = accepted.iter().map(|pem| Public::read_all(pem)).collect::<Result<_, _>>()?;
        let keys = Keys { signing, accepted: accepted.concat() };
        Ok(Tokens::with(issuer, Box::new(move || Ok(keys))))
    }

    /// Accepts tokens of further issuers.
    #[must_use]
    pub fn accepting(mut self, issuers: impl IntoIterator<Item = String>) -> Tokens {
        self.issuers.extend(issuers);
        self
    }

    /// With other audiences of the API server than its issuer.
    #[must_use]
    pub fn for_audiences(mut self, audiences: Vec<String>) -> Tokens {
        self.audiences = audiences;
        self
    }

    fn with(issuer: &str, keys: Box<dyn FnOnce() -> Result<Keys, KeyError> + Send + Sync>) -> Tokens {
        let (issuers, audiences) = (vec![issuer.to_owned()], vec![issuer.to_owned()]);
        Tokens { issuers, audiences, keys: LazyLock::new(keys) }
    }

    fn read(&self) -> Result<&Keys, KeyError> {
        self.keys.as_ref().map_err(Clone::clone)
    }

    fn issuer(&self) -> &str {
        self.issuers.first().map_or("", String::as_str)
    }

    /// The audiences of tokens for the API server itself.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Signs the claims; `iss` is filled in.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let key = &self.read()?.signing;
        let mut header = Header::new(key.public.algorithm);
        header.kid = Some(key.public.id.clone());
        // Upstream's tokens carry no `typ`.
        header.typ = None;
        let claims = Claims { iss: self.issuer().to_owned(), ..claims.clone() };
        jsonwebtoken::encode(&header, &claims, &key.encoding).map_err(|e| KeyError(e.to_string()))
    }

    /// The claims of a token with a good signature. Times, audiences and the objects it is bound to
    /// are not checked here.
    pub fn verify(&self, token: &str) -> Result<Claims, Foreign> {
        let issuer = unverified_issuer(token);
        if !issuer.is_some_and(|issuer| self.issuers.contains(&issuer)) {
            return Err(Foreign::NotOurs);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Foreign::NotOurs)?;
        let keys = self.read().map_err(|e| Foreign::Forged(e.to_string()))?;
        let meant = |key: &&Public| header.kid.as_ref().is_none_or(|kid| *kid == key.id);
        let mut refused = "invalid signature, no keys found".to_owned();
        for key in keys.accepted.iter().filter(meant) {
            match verified(token, key) {
                Ok(claims) => return Ok(claims),
                Err(why) => refused = why,
            }
        }
        Err(Foreign::Forged(refused))
    }

    /// The key set at [`KEYS_PATH`]; without a key there is none in it.
    pub fn keys(&self) -> Value {
        let keys = self.read().map(|keys| keys.accepted.as_slice()).unwrap_or_default();
        json!({"keys": keys.iter().map(|key| &key.published).collect::<Vec<_>>()})
    }

    /// The discovery document at [`DISCOVERY_PATH`]; `address` is host and port of the API server as
    /// clients outside know it.
    pub fn discovery(&self, address: &str) -> Value {
        let keys = self.read().map(|keys| keys.accepted.as_slice()).unwrap_or_default();
        let algorithms: BTreeSet<&str> = keys.iter().filter_map(|key| key.published["alg"].as_str()).collect();
        json!({
            "issuer": self.issuer(),
            "jwks_uri": format!("https://{address}{KEYS_PATH}"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        })
    }
}

fn verified(token: &str, key: &Public) -> Result<Claims, String> {
    let mut validation = Validation::new(key.algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let verified = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation);
    verified.map(|data| data.claims).map_err(|e| e.to_string())
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
