//! Authentication and authorization for servers that are not the API server and ask it: the kubelet's
//! own port (upstream: `pkg/kubelet/server/auth.go`, `apiserver/pkg/authentication/authenticatorfactory`).
//!
//! A client certificate of the cluster's authority is checked here, a bearer token by a TokenReview, and
//! every request by a SubjectAccessReview. Answers are kept for a short time. Nobody is anonymous.

mod kubelet;
mod reviews;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use meta::{Attributes, Object, Status, User};

use crate::authn::service_account::bearer_token;
use crate::authn::x509::{Certificates, Peer};
use crate::cache::{Cache, digest};
use crate::{Authenticator, Credentials, Decision, Unauthorized, Verdict};
pub use kubelet::kubelet_attributes;

/// How long a token is taken for good without asking again.
const TOKEN: SignedDuration = SignedDuration::from_mins(2);
/// How long a permission holds.
const ALLOWED: SignedDuration = SignedDuration::from_mins(5);
/// How long a refusal holds.
const REFUSED: SignedDuration = SignedDuration::from_secs(30);

/// Asks the API server to review something.
#[async_trait]
pub trait Reviews: Send + Sync + 'static {
    /// Creates the review (`tokenreviews`, `subjectaccessreviews`) in the group and gives its answer.
    async fn create(&self, group: &str, resource: &str, review: Object) -> Result<Object, Status>;
}

/// Who asks, and whether they may, according to the API server.
pub struct Delegated {
    certificates: Certificates,
    reviews: Arc<dyn Reviews>,
    tokens: Cache<User>,
    decisions: Cache<Decision>,
}

impl Delegated {
    /// Certificates are accepted from the cluster's authority.
    pub fn new(certificates: Certificates, reviews: Arc<dyn Reviews>) -> Self {
        Delegated { certificates, reviews, tokens: Cache::default(), decisions: Cache::default() }
    }

    /// Checks the certificate chain that a client showed in its handshake; `None` if it showed none.
    pub fn peer(&self, chain: &[rustls_pki_types::CertificateDer<'_>], now: Timestamp) -> Option<Peer> {
        self.certificates.peer(chain, now)
    }

    /// Who sent the request. Without credentials that are good: 401. Certificates hold by the machine's clock, `now`;
    /// how long an answer has been kept is counted by one that does not jump, `steady`.
    pub async fn authenticate(
        &self,
        credentials: &Credentials<'_>,
        now: Timestamp,
        steady: Timestamp,
    ) -> Result<User, Unauthorized> {
        let by_certificate = self.certificates.authenticate(credentials, now).await;
        if let Ok(Some(user)) = by_certificate {
            return Ok(crate::authn::with_authenticated(user));
        }
        let Some(token) = bearer_token(credentials) else {
            by_certificate?;
            return Err(Unauthorized("no credentials".to_owned()));
        };
        let key = digest([token.as_bytes()]);
        if let Some(user) = self.tokens.get(&key, steady) {
            return Ok(user);
        }
        let review = reviews::token(&token);
        let answer = self.reviews.create("authentication.k8s.io", "tokenreviews", review).await;
        let user = reviews::user(&answer.map_err(|e| Unauthorized(e.to_string()))?).map_err(Unauthorized)?;
        self.tokens.put(key, user.clone(), steady + TOKEN, steady);
        Ok(user)
    }

    /// Whether any of the requests is allowed: as soon as one is, yes. An error means that the API server
    /// did not answer. `now` is of a clock that does not jump.
    pub async fn authorize_any(&self, wanted: &[Attributes], now: Timestamp) -> Result<Decision, Status> {
        let mut last = Decision::no_opinion("could not determine attributes for request");
        for attributes in wanted {
            last = self.authorize(attributes, now).await?;
            if last.allowed() {
                break;
            }
        }
        Ok(last)
    }

    /// Whether the request is allowed.
    pub async fn authorize(&self, attributes: &Attributes, now: Timestamp) -> Result<Decision, Status> {
        let review = reviews::access(attributes);
        let text = serde_json::to_vec(review.fields()).map_err(Status::internal)?;
        let key = digest([text.as_slice()]);
        if let Some(decision) = self.decisions.get(&key, now) {
            return Ok(decision);
        }
        let answer = self.reviews.create("authorization.k8s.io", "subjectaccessreviews", review).await?;
        let decision = reviews::decision(&answer);
        let hold = if decision.verdict == Verdict::Allow { ALLOWED } else { REFUSED };
        self.decisions.put(key, decision.clone(), now + hold, now);
        Ok(decision)
    }
}

#[cfg(test)]
mod tests;
