//! ServiceAccount tokens bound to pods, renewed before they end (upstream: `token.Manager`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::clock::Moment;
use crate::spec;

/// Tokens older than this are renewed in any case.
const LONGEST_USE: SignedDuration = SignedDuration::from_hours(24);

/// How far the clock may be set back before a token counts as not yet good (what checkers allow, a minute as a rule).
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

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
    /// When to renew it, on the agent's own clock.
    pub refresh_at: Timestamp,
    /// When the machine's clock says so: who checks a token goes by that.
    until: Timestamp,
    /// Before that the machine's clock was set back: the token is not good yet.
    since: Timestamp,
}

impl Token {
    /// One of which is known when it ends. Of its life 80 % are used.
    fn new(text: String, end: Timestamp, now: Moment) -> Self {
        let life = end.duration_since(now.machine);
        let used = (life * 4 / 5).min(LONGEST_USE);
        let after = |at: Timestamp, time: SignedDuration| at.checked_add(time).unwrap_or(at);
        Token { text, refresh_at: after(now.steady, used), until: after(now.machine, used), since: after(now.machine, -LEEWAY) }
    }

    /// Whether it is neither used up nor, by the machine's clock, over or not yet good.
    fn lasts(&self, now: Moment) -> bool {
        now.steady < self.refresh_at && (self.since..self.until).contains(&now.machine)
    }
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
        let now = Moment::now();
        if let Some(token) = self.lock().get(&key).filter(|token| token.lasts(now)) {
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
        let (Some(text), Some(end)) = (status.token, status.expiration_timestamp) else {
            return Err("failed to fetch token: the answer has none".to_owned());
        };
        Ok(Token::new(text, end.0, Moment::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_in_time_however_the_clock_is_set() {
        let at = |seconds| Timestamp::from_second(seconds).expect("in range");
        let (start, hour) = (1_000_000, 3600);
        let token = Token::new("t".to_owned(), at(start + hour), Moment { steady: at(start), machine: at(start) });
        let lasts = |passed: i64, set: i64| token.lasts(Moment { steady: at(start + passed), machine: at(start + passed + set) });
        assert!(lasts(0, 0) && lasts(2879, 0) && !lasts(2880, 0));
        assert!(lasts(60, 600) && lasts(60, -80), "a little back or forth");
        assert!(!lasts(60, hour), "who checks it says that it is over");
        assert!(!lasts(60, -hour), "and here that it is not good yet");
        assert!(!lasts(2880, -hour + 800), "it is not kept for an hour more");
        let long = Token::new("t".to_owned(), at(start + 1000 * hour), Moment { steady: at(start), machine: at(start) });
        assert_eq!(long.refresh_at, at(start + 24 * hour));
        let odd = Token::new("t".to_owned(), Timestamp::MAX, Moment { steady: at(start), machine: at(start) });
        assert_eq!(odd.refresh_at, at(start + 24 * hour));
    }
}
