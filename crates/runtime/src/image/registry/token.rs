//! What a registry wants to see before it answers: a password, or a token that somebody else makes of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Url};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::answer::{self, Source};
use super::host::{Host, send};
use super::Trouble;
use crate::{Credentials, limits};

/// Challenges that are looked at.
const CHALLENGES: usize = 8;

/// What the answer of a token server has; the first of the two wins.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// What a registry wants.
pub(super) enum Challenge {
    /// A token from there.
    Bearer {
        /// Where.
        realm: String,
        /// For what it is.
        service: Option<String>,
    },
    /// A password.
    Basic,
}

/// Those of a header that are understood.
pub(super) fn challenges(header: &str) -> Vec<Challenge> {
    let known = |challenge: &http_auth::ChallengeRef<'_>| {
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            return Some(Challenge::Bearer { realm: parameter("realm")?, service: parameter("service") });
        }
        challenge.scheme.eq_ignore_ascii_case("basic").then_some(Challenge::Basic)
    };
    http_auth::parse_challenges(header).unwrap_or_default().iter().filter_map(known).collect()
}

/// The header that answers the challenges of a refusal.
pub(super) async fn authorize(host: &Host, refusal: &HeaderMap) -> Result<HeaderValue, Trouble> {
    let texts = refusal.get_all(WWW_AUTHENTICATE).iter().take(CHALLENGES).filter_map(|value| value.to_str().ok());
    for challenge in texts.flat_map(challenges) {
        match (challenge, &host.credentials) {
            (Challenge::Bearer { realm, service }, _) => return token(host, &realm, service).await,
            (Challenge::Basic, Some(credentials)) => return basic(credentials),
            (Challenge::Basic, None) => {}
        }
    }
    Err(Trouble::Denied("authorization failed: no basic auth credentials".to_owned()))
}

fn basic(credentials: &Credentials) -> Result<HeaderValue, Trouble> {
    let text = format!("{}:{}", credentials.username, credentials.password);
    secret(format!("Basic {}", STANDARD.encode(text)))
}

/// A header that is not printed.
fn secret(text: String) -> Result<HeaderValue, Trouble> {
    let mut value = HeaderValue::try_from(text).map_err(|_| Trouble::Wrong("the token is not printable".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn token(host: &Host, realm: &str, service: Option<String>) -> Result<HeaderValue, Trouble> {
    let wrong = |why: &dyn std::fmt::Display| Trouble::Wrong(format!("realm {:?}: {why}", answer::told(realm)));
    let mut url = Url::parse(realm).map_err(|e| wrong(&e))?;
    // A registry that is spoken to in the open is on this machine, and so may be what makes its tokens.
    if url.scheme() != "https" && !(url.scheme() == "http" && host.base.scheme() == "http") {
        return Err(wrong(&"not https"));
    }
    if let Some(service) = service {
        url.query_pairs_mut().append_pair("service", &service);
    }
    url.query_pairs_mut().append_pair("scope", &format!("repository:{}:{}", host.repository, host.actions));
    let mut request = host.client.get(url.clone());
    if let Some(credentials) = &host.credentials {
        request = request.header(AUTHORIZATION, basic(credentials)?);
    }
    let response = send(request, &url, &host.waits, "GET").await?;
    if !response.status().is_success() {
        let trouble = answer::refusal(response, &Method::GET, &url, host.waits.idle).await;
        return Err(if trouble.passes() { trouble } else { Trouble::Denied(format!("authorization failed: {trouble}")) });
    }
    let source = Source::new(response, url, 0, host.waits.idle, 0)?;
    let body = source.document("answer of the token server", limits::TOKEN, limits::STALL).await?;
    found(&body)
}

/// The header with the token in an answer.
pub(super) fn found(body: &[u8]) -> Result<HeaderValue, Trouble> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|e| Trouble::Wrong(format!("unable to decode token response: {e}")))?;
    let found = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let found = found.ok_or_else(|| Trouble::Denied("authorization server did not include a token in the response".to_owned()))?;
    secret(format!("Bearer {found}"))
}
