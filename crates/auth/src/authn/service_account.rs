//! Bearer tokens of service accounts (upstream: `pkg/serviceaccount`, the `bearertoken` and
//! `websocket` request authenticators).

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, User};

use super::{Authenticator, Credentials, Unauthorized};
use crate::cache::{Cache, digest};
use crate::identity;
use crate::lookup::Lookup;
use crate::token::claims::{Claims, Reference};
use crate::token::{Foreign, Tokens};

/// How far the clocks of issuer and verifier may be apart; also how long a deleted object counts.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// How long a verdict holds (upstream's success cache): a revoked token works this much longer.
const TIME_TO_LIVE: SignedDuration = SignedDuration::from_secs(10);
const INVALIDATED: &str = "service account token has been invalidated";

/// The authenticator.
pub struct ServiceAccounts {
    tokens: Arc<Tokens>,
    lookup: Arc<dyn Lookup>,
    cache: Cache<(User, Vec<String>)>,
}

impl ServiceAccounts {
    /// Checks signatures with `tokens`, and that the objects a token is bound to exist with `lookup`.
    pub(super) fn new(tokens: Arc<Tokens>, lookup: Arc<dyn Lookup>) -> Self {
        ServiceAccounts { tokens, lookup, cache: Cache::default() }
    }

    /// Checks a token for any of the audiences (none: those of the API server). The result is its user and
    /// the audiences in common.
    pub(super) async fn review(
        &self,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<(User, Vec<String>), Unauthorized> {
        let key = digest(std::iter::once(token).chain(audiences.iter().map(String::as_str)).map(str::as_bytes));
        if let Some(known) = self.cache.get(&key, now) {
            return Ok(known);
        }
        let claims = self.tokens.verify(token).map_err(|foreign| match foreign {
            Foreign::NotOurs => Unauthorized("invalid bearer token".to_owned()),
            Foreign::Forged(why) => Unauthorized(format!("invalid bearer token, {why}")),
        })?;
        let shared = self.shared_audiences(&claims, audiences)?;
        self.check(&claims, now).await?;
        let user = user(&claims);
        let expires = Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MAX);
        let until = (now + TIME_TO_LIVE).min(expires + LEEWAY);
        self.cache.put(key, (user.clone(), shared.clone()), until, now);
        Ok((user, shared))
    }

    /// The audiences that a review is about: those asked for, or else those of the API server.
    pub fn wanted<'a>(&'a self, asked: &'a [String]) -> &'a [String] {
        if asked.is_empty() { self.tokens.audiences() } else { asked }
    }

    fn shared_audiences(&self, claims: &Claims, wanted: &[String]) -> Result<Vec<String>, Unauthorized> {
        let wanted = self.wanted(wanted);
        let held = if claims.aud.is_empty() { self.tokens.audiences() } else { &claims.aud };
        let shared: Vec<String> = held.iter().filter(|audience| wanted.contains(audience)).cloned().collect();
        if shared.is_empty() {
            let why = format!("token audiences {held:?} is invalid for the target audiences {wanted:?}");
            return Err(Unauthorized(why));
        }
        Ok(shared)
    }

    async fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), Unauthorized> {
        let refused = |why: &str| Err(Unauthorized(why.to_owned()));
        let (early, late) = ((now + LEEWAY).as_second(), (now - LEEWAY).as_second());
        if claims.nbf > early {
            return refused("service account token is not valid yet");
        }
        if claims.exp < late {
            return refused("service account token has expired");
        }
        if claims.iat > early {
            return refused("service account token is issued in the future");
        }
        let bound = &claims.kubernetes;
        let account = self.find("serviceaccounts", &bound.namespace, &bound.serviceaccount, now).await?;
        if account == Found::Absent {
            return refused("service account no longer exists");
        }
        let namespaced = [("secrets", &bound.secret), ("pods", &bound.pod)];
        for (resource, reference) in namespaced {
            if let Some(reference) = reference
                && self.find(resource, &bound.namespace, reference, now).await? == Found::Absent
            {
                return refused(INVALIDATED);
            }
        }
        // The node of a pod-bound token is information; alone, the token stands and falls with it.
        if let (Some(node), None) = (&bound.node, &bound.pod)
            && self.find("nodes", "", node, now).await? == Found::Absent
        {
            return refused(INVALIDATED);
        }
        Ok(())
    }

    async fn find(&self, resource: &str, ns: &str, wanted: &Reference, now: Timestamp) -> Result<Found, Unauthorized> {
        let found = self.lookup.get("", resource, &Key::new(ns, &wanted.name)).await;
        let Some(object) = found.map_err(|e| Unauthorized(e.to_string()))? else {
            return Ok(Found::Absent);
        };
        if object.uid() != wanted.uid {
            let what = resource.trim_end_matches('s');
            let why = format!("{what} UID ({}) does not match the token's claim ({})", object.uid(), wanted.uid);
            return Err(Unauthorized(why));
        }
        Ok(if deleted(&object, now) { Found::Absent } else { Found::Present })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Present,
    Absent,
}

/// Whether the object's time was over more than the leeway ago.
fn deleted(object: &Object, now: Timestamp) -> bool {
    object.deletion_timestamp().and_then(meta::time::parse).is_some_and(|at| at < now - LEEWAY)
}

/// The user that a token stands for.
fn user(claims: &Claims) -> User {
    let bound = &claims.kubernetes;
    let mut user = identity::service_account(&bound.namespace, &bound.serviceaccount.name);
    user.uid = bound.serviceaccount.uid.clone();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]);
        }
    };
    if let Some(pod) = &bound.pod {
        add("pod-name", &pod.name);
        add("pod-uid", &pod.uid);
    }
    if let Some(node) = &bound.node {
        add("node-name", &node.name);
        add("node-uid", &node.uid);
    }
    if !claims.jti.is_empty() {
        add("credential-id", &format!("JTI={}", claims.jti));
    }
    super::with_authenticated(user)
}

/// The token in the `Authorization` header, or in the websocket protocol that browsers use for want of
/// headers (`base64url.bearer.authorization.k8s.io.<token>`).
pub fn bearer_token(credentials: &Credentials<'_>) -> Option<String> {
    if let Some((scheme, token)) = credentials.authorization.and_then(|header| header.trim().split_once(' ')) {
        let token = token.trim_start().split(' ').next().unwrap_or("");
        if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
            return Some(token.to_owned());
        }
    }
    let mut protocols = credentials.websocket_protocols?.split(',').map(str::trim);
    let encoded = protocols.find_map(|p| p.strip_prefix("base64url.bearer.authorization.k8s.io."))?;
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

#[async_trait]
impl Authenticator for ServiceAccounts {
    fn name(&self) -> &'static str {
        "bearer"
    }

    async fn authenticate(&self, credentials: &Credentials<'_>, now: Timestamp) -> Result<Option<User>, Unauthorized> {
        let Some(token) = bearer_token(credentials) else {
            return Ok(None);
        };
        self.review(&token, &[], now).await.map(|(user, _)| Some(user))
    }
}
