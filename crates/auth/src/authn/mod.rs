//! Authenticators: who is asking. One file each, and one list.

mod anonymous;
pub mod service_account;
mod static_tokens;
pub mod x509;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use meta::User;
use rustls_pki_types::CertificateDer;

use crate::identity::AUTHENTICATED;
use crate::lookup::Lookup;
use crate::token::Tokens;
use service_account::ServiceAccounts;
pub use static_tokens::StaticTokens;
use x509::{Certificates, Peer};

/// What a request brings along to prove who sent it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// The connection's client certificate, checked once at its handshake by [`Authentication::peer`].
    pub peer: Option<&'a Peer>,
    /// Value of the `Authorization` header.
    pub authorization: Option<&'a str>,
    /// Value of the `Sec-WebSocket-Protocol` header: browsers put a token there.
    pub websocket_protocols: Option<&'a str>,
}

/// The credentials were not accepted: 401. The text is for the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unauthorized(pub String);

/// One way to prove an identity.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// For the log and metrics.
    fn name(&self) -> &'static str;
    /// `None`: these credentials are none of mine.
    async fn authenticate(&self, credentials: &Credentials<'_>, now: Timestamp) -> Result<Option<User>, Unauthorized>;
}

/// All authenticators together.
pub struct Authentication {
    certificates: Arc<Certificates>,
    tokens: Arc<ServiceAccounts>,
    fixed: Arc<StaticTokens>,
    members: Vec<Arc<dyn Authenticator>>,
    is_anonymous_allowed: bool,
}

impl Authentication {
    /// Certificates of the cluster's CA, then service-account tokens, then anonymous.
    pub fn new(certificates: Certificates, tokens: Arc<Tokens>, lookup: Arc<dyn Lookup>) -> Self {
        let certificates = Arc::new(certificates);
        let tokens = Arc::new(ServiceAccounts::new(tokens, lookup));
        let members: Vec<Arc<dyn Authenticator>> = vec![certificates.clone(), tokens.clone()];
        Authentication { certificates, tokens, fixed: Arc::default(), members, is_anonymous_allowed: true }
    }

    /// Also takes the tokens of a file, before those of service accounts.
    #[must_use]
    pub fn with_static_tokens(mut self, tokens: StaticTokens) -> Self {
        self.fixed = Arc::new(tokens);
        self.members.insert(1, self.fixed.clone());
        self
    }

    /// Refuses who shows no credentials.
    #[must_use]
    pub fn without_anonymous(mut self) -> Self {
        self.is_anonymous_allowed = false;
        self
    }

    /// Checks the certificate chain that a client showed in its handshake (end entity first).
    /// `None` if it showed none.
    pub fn peer(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Option<Peer> {
        self.certificates.peer(chain, now)
    }

    /// Who sent the request. The first authenticator that knows wins; credentials that all of them
    /// refuse are an error, no credentials make the caller anonymous.
    pub async fn authenticate(&self, credentials: &Credentials<'_>, now: Timestamp) -> Result<User, Unauthorized> {
        let mut refused = Vec::new();
        for member in &self.members {
            match member.authenticate(credentials, now).await {
                Ok(Some(user)) => return Ok(with_authenticated(user)),
                Ok(None) => {}
                Err(Unauthorized(why)) => refused.push(format!("{}: {why}", member.name())),
            }
        }
        match refused.is_empty() {
            true if self.is_anonymous_allowed => Ok(anonymous::user()),
            true => Err(Unauthorized("no credentials".to_owned())),
            false => Err(Unauthorized(refused.join("; "))),
        }
    }

    /// The audiences that a TokenReview is about: those asked for, or else those of the API server.
    pub fn audiences<'a>(&'a self, asked: &'a [String]) -> &'a [String] {
        self.tokens.wanted(asked)
    }

    /// What TokenReview answers: the token's user and the audiences it shares with those asked for
    /// (none asked for: those of the API server).
    pub async fn review(
        &self,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<(User, Vec<String>), Unauthorized> {
        if let Some(user) = self.fixed.user(token) {
            // Its tokens are for the API server.
            let ours = self.tokens.wanted(&[]).iter().filter(|ours| audiences.is_empty() || audiences.contains(ours));
            let shared: Vec<String> = ours.cloned().collect();
            return if shared.is_empty() { Err(Unauthorized("no audience in common".to_owned())) } else { Ok((user, shared)) };
        }
        let (user, shared) = self.tokens.review(token, audiences, now).await?;
        Ok((with_authenticated(user), shared))
    }
}

pub(crate) fn with_authenticated(mut user: User) -> User {
    if !user.in_group(AUTHENTICATED) && user.name != crate::identity::ANONYMOUS {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}
