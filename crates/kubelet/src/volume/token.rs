//! ServiceAccount tokens bound to pods, renewed before they end (upstream: `token.Manager`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::spec;

/// Tokens older than this are renewed in any case.
const LONGEST_USE: SignedDuration = SignedDuration::from_hours(24);

type Name = (String, String, i64);

/// The tokens of this node's pods.
pub struct Tokens {
    client: Client,
    known: Mutex<HashMap<Name, Token>>,
}

/// A token and when to get the next one.
#[derive(Clone, Debug)]
pub struct Token {
    /// The JWT.
    pub text: String,
    /// When to renew it.
    pub refresh_at: Timestamp,
}

impl Tokens {
    /// Asks by this client.
    pub fn new(client: Client) -> Self {
        Tokens { client, known: Mutex::default() }
    }

    /// The token for a pod's projection; asks the API only when there is none that lasts.
    pub async fn get(&self, pod: &Pod, projection: &ServiceAccountTokenProjection) -> Result<Token, String> {
        let seconds = projection.expiration_seconds.unwrap_or(3600);
        let audience = projection.audience.clone().unwrap_or_default();
        let key = (spec::uid(pod).to_owned(), audience.clone(), seconds);
        let now = Timestamp::now();
        if let Some(token) = self.lock().get(&key).filter(|t| now < t.refresh_at) {
            return Ok(token.clone());
        }
        let token = self.request(pod, audience, seconds).await?;
        self.lock().insert(key, token.clone());
        Ok(token)
    }

    /// Forgets a pod's tokens.
    pub fn forget(&self, uid: &str) {
        self.lock().retain(|(pod, ..), _| pod != uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Token>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn request(&self, pod: &Pod, audience: String, seconds: i64) -> Result<Token, String> {
        let account = spec::of(pod).service_account_name.as_deref().filter(|n| !n.is_empty()).unwrap_or("default");
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
        };
        let audiences = if audience.is_empty() { Vec::new() } else { vec![audience] };
        let spec = TokenRequestSpec { audiences: Some(audiences), bound_object_ref: Some(bound), expiration_seconds: Some(seconds) };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), spec::namespace(pod));
        let params = PostParams::default();
        let answer = api.create_token_request(account, &params, &request).await;
        let answer = answer.map_err(|error| format!("failed to fetch token: {error}"))?;
        let status = answer.status.ok_or("failed to fetch token: the answer has no status")?;
        let now = Timestamp::now();
        let (Some(text), Some(end)) = (status.token, status.expiration_timestamp) else {
            return Err("failed to fetch token: the answer has none".to_owned());
        };
        let life = end.0.duration_since(now);
        // Renewed after 80% of its life.
        let use_ = (life * 4 / 5).min(LONGEST_USE);
        Ok(Token { text, refresh_at: now + use_ })
    }
}
