//! Who may use the agent's server: certificates of the cluster's authority or tokens that the API
//! vouches for, and then what the API's authorizers say (upstream: `kubelet/server/auth.go` with
//! delegated authentication and authorization).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use auth::authn::x509::Certificates;
use auth::{Authenticator, Credentials};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use meta::User;
use rustls::pki_types::CertificateDer;

/// How long an allowance is believed (upstream: 5 min), a refusal (upstream: 30 s), a token (upstream: 2 min).
const ALLOWED: Duration = Duration::from_secs(300);
const REFUSED: Duration = Duration::from_secs(30);
const VOUCHED: Duration = Duration::from_secs(120);
/// Answers that are remembered.
const MOST: usize = 1024;

/// What a connection and its request show.
pub struct Caller<'a> {
    /// The client's certificates, its own first.
    pub chain: &'a [CertificateDer<'static>],
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

/// Decides who may do what.
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// Who it is; `None` for nobody known. There is no anonymous access.
    async fn authenticate(&self, caller: &Caller<'_>) -> Option<User>;
    /// Whether the user may do this to that subresource of the node.
    async fn authorize(&self, user: &User, verb: &str, node: &str, subresource: &str) -> bool;
}

type Answers<T> = Mutex<HashMap<u64, (T, Instant)>>;

/// Asks the API.
pub struct Delegated {
    certificates: Certificates,
    client: kube::Client,
    tokens: Answers<User>,
    verdicts: Answers<bool>,
}

impl Delegated {
    /// Believes certificates of the cluster's authority, and asks the API for the rest.
    pub fn new(certificates: Certificates, client: kube::Client) -> Self {
        Delegated { certificates, client, tokens: Mutex::default(), verdicts: Mutex::default() }
    }

    async fn review_token(&self, token: &str) -> Option<User> {
        let key = hash(token);
        if let Some(user) = recall(&self.tokens, key) {
            return Some(user);
        }
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let reviews = Api::<TokenReview>::all(self.client.clone());
        let status = match reviews.create(&PostParams::default(), &review).await {
            Ok(review) => review.status?,
            Err(error) => {
                tracing::warn!(%error, "token not reviewed");
                return None;
            }
        };
        let info = status.user.filter(|_| status.authenticated == Some(true))?;
        let user = User {
            name: info.username.unwrap_or_default(),
            uid: info.uid.unwrap_or_default(),
            groups: info.groups.unwrap_or_default(),
            extra: info.extra.unwrap_or_default(),
        };
        keep(&self.tokens, key, user.clone(), VOUCHED);
        Some(user)
    }
}

#[async_trait]
impl Access for Delegated {
    async fn authenticate(&self, caller: &Caller<'_>) -> Option<User> {
        let now = Timestamp::now();
        let peer = self.certificates.peer(caller.chain, now);
        let credentials = Credentials { peer: peer.as_ref(), ..Credentials::default() };
        match self.certificates.authenticate(&credentials, now).await {
            Ok(Some(user)) => return Some(user),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "client certificate refused"),
        }
        let token = caller.authorization.as_deref()?.strip_prefix("Bearer ")?;
        self.review_token(token.trim()).await
    }

    async fn authorize(&self, user: &User, verb: &str, node: &str, subresource: &str) -> bool {
        if user.in_group(auth::identity::MASTERS) {
            return true;
        }
        let key = hash(&(&user.name, &user.groups, verb, node, subresource));
        if let Some(verdict) = recall(&self.verdicts, key) {
            return verdict;
        }
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.name.clone()),
                uid: Some(user.uid.clone()),
                groups: Some(user.groups.clone()),
                extra: Some(user.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    version: Some("v1".to_owned()),
                    resource: Some("nodes".to_owned()),
                    subresource: Some(subresource.to_owned()),
                    name: Some(node.to_owned()),
                    ..ResourceAttributes::default()
                }),
                non_resource_attributes: None,
            },
            ..SubjectAccessReview::default()
        };
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        match reviews.create(&PostParams::default(), &review).await {
            Ok(review) => {
                let allowed = review.status.is_some_and(|s| s.allowed);
                keep(&self.verdicts, key, allowed, if allowed { ALLOWED } else { REFUSED });
                allowed
            }
            Err(error) => {
                tracing::warn!(%error, user = user.name, "access not reviewed, refused");
                false
            }
        }
    }
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    // One secret per process: nobody outside can make two callers meet.
    static SECRET: std::sync::LazyLock<u64> = std::sync::LazyLock::new(rand::random);
    let mut hasher = DefaultHasher::new();
    SECRET.hash(&mut hasher);
    value.hash(&mut hasher);
    hasher.finish()
}

fn recall<T: Clone>(answers: &Answers<T>, key: u64) -> Option<T> {
    let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    answers.get(&key).filter(|(_, until)| Instant::now() < *until).map(|(answer, _)| answer.clone())
}

fn keep<T>(answers: &Answers<T>, key: u64, answer: T, life: Duration) {
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if answers.len() >= MOST {
        answers.retain(|_, (_, until)| now < *until);
    }
    if answers.len() < MOST {
        answers.insert(key, (answer, now + life));
    }
}
