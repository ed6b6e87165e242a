//! A conversation with one registry about one repository (the OCI distribution specification).
//!
//! What the other side sends is bounded in bytes and in time. Credentials go to the registry and to where it says that
//! its tokens are made; where it redirects to, they do not.

mod answer;
#[cfg(test)]
pub(super) mod moods;
#[cfg(test)]
mod tests;
mod token;

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::Reference;
use crate::Credentials;
use crate::limits::{self, Waits};

pub(super) use answer::Source;

/// Kinds of manifests that are understood.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Why something could not be had. The words are containerd's where it has some.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The registry cannot be reached, or says nothing.
    #[error("failed to do request: Get \"{url}\": {why}")]
    Silent {
        /// What was asked.
        url: String,
        /// What the system said.
        why: String,
    },
    /// An answer ended, or stopped coming, before it was complete.
    #[error("{0}")]
    Broken(String),
    /// What is asked for begins after the end.
    #[error("{0}: the registry has less than was fetched")]
    Shorter(String),
    /// It is not there.
    #[error("not found")]
    NotFound,
    /// Not for these credentials.
    #[error("pull access denied, repository does not exist or may require authorization: {0}")]
    Denied(String),
    /// Another answer than the one that was hoped for.
    #[error("unexpected status from GET request to {url}: {status}{message}")]
    Status {
        /// What was asked.
        url: String,
        /// The answer.
        status: StatusCode,
        /// What the registry says about it, after a colon.
        message: String,
    },
    /// The registry does not keep to the rules.
    #[error("{0}")]
    Wrong(String),
    /// This machine failed.
    #[error("{0}")]
    Local(String),
}

impl Trouble {
    /// Whether another try may go better.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Silent { .. } | Self::Broken(_) | Self::Shorter(_) => true,
            Self::Status { status, .. } => {
                status.is_server_error() || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            _ => false,
        }
    }
}

/// The means of speaking to registries, as long as somebody does: trusted authorities take memory.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<Weak<Client>>);

impl Clients {
    /// One for all that speak now.
    pub(super) fn get(&self, waits: &Waits) -> Result<std::sync::Arc<Client>, Trouble> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.upgrade() {
            return Ok(client);
        }
        let redirects = redirect::Policy::custom(|attempt| {
            let from_tls = attempt.previous().iter().any(|url| url.scheme() == "https");
            if attempt.previous().len() > limits::REDIRECTS {
                attempt.error(format!("stopped after {} redirects", limits::REDIRECTS))
            } else if from_tls && attempt.url().scheme() != "https" {
                attempt.error("a redirect leads from https to http")
            } else {
                attempt.follow()
            }
        });
        let client = Client::builder()
            .user_agent(concat!("ironclad/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(waits.connect)
            .redirect(redirects)
            .referer(false)
            .http1_max_headers(limits::HEADERS)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|e| Trouble::Local(answer::innermost(&e)))?;
        let client = std::sync::Arc::new(client);
        *known = std::sync::Arc::downgrade(&client);
        Ok(client)
    }
}

/// See the module.
pub(super) struct Session {
    client: std::sync::Arc<Client>,
    pub(super) waits: Waits,
    /// `https://registry/v2/repository/`.
    base: Url,
    repository: String,
    credentials: Option<Credentials>,
    authorization: Mutex<Option<HeaderValue>>,
}

/// Reads what may stand in an answer (for [`crate::fuzzed`]).
pub(super) fn decode(data: &[u8]) {
    drop(token::found(data));
    drop(answer::said(data));
    if let Ok(text) = std::str::from_utf8(data) {
        drop(token::challenges(text));
        let _ = answer::start(text);
        drop(answer::told(text));
    }
}

/// The host that serves a registry's name.
fn host_of(domain: &str) -> &str {
    if domain == "docker.io" { "registry-1.docker.io" } else { domain }
}

impl Session {
    pub(super) fn new(
        clients: &Clients, waits: Waits, reference: &Reference, credentials: Option<&Credentials>,
    ) -> Result<Self, Trouble> {
        let scheme = if reference.is_loopback() { "http" } else { "https" };
        let base = format!("{scheme}://{}/v2/{}/", host_of(&reference.domain), reference.path);
        let base = Url::parse(&base).map_err(|e| Trouble::Wrong(format!("{base}: {e}")))?;
        Ok(Self {
            client: clients.get(&waits)?,
            waits,
            base,
            repository: reference.path.clone(),
            credentials: credentials.cloned(),
            authorization: Mutex::default(),
        })
    }

    /// A manifest or index by tag or digest: its bytes, unverified.
    pub(super) async fn manifest(&self, reference: &str) -> Result<Vec<u8>, Trouble> {
        let source = self.get(&format!("manifests/{reference}"), MANIFESTS, 0).await?;
        source.document("manifest", limits::DOCUMENT, limits::STALL).await
    }

    /// A small blob: its bytes, unverified.
    pub(super) async fn document(&self, digest: &str) -> Result<Vec<u8>, Trouble> {
        let source = self.get(&format!("blobs/{digest}"), "*/*", 0).await?;
        source.document("configuration", limits::DOCUMENT, limits::STALL).await
    }

    /// A blob from a byte on; a registry may begin before that.
    pub(super) async fn blob(&self, digest: &str, from: u64) -> Result<Source, Trouble> {
        self.get(&format!("blobs/{digest}"), "*/*", from).await
    }

    async fn get(&self, path: &str, accept: &'static str, from: u64) -> Result<Source, Trouble> {
        let url = self.base.join(path).map_err(|e| Trouble::Wrong(format!("{path}: {e}")))?;
        let mut asked = false;
        loop {
            let mut request = self.client.get(url.clone()).header(ACCEPT, accept);
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            if let Some(authorization) = self.authorization() {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = self.send(request, &url).await?;
            match response.status() {
                // Only the registry itself is told who asks, and once.
                StatusCode::UNAUTHORIZED if !asked && response.url().origin() == self.base.origin() => {
                    asked = true;
                    let authorization = token::authorize(self, response.headers()).await?;
                    *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
                }
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Source::new(response, url, from, self.waits.idle),
                StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return Err(Trouble::Shorter(url.to_string())),
                _ => return Err(answer::refusal(response, &url, self.waits.idle).await),
            }
        }
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn send(&self, request: reqwest::RequestBuilder, url: &Url) -> Result<Response, Trouble> {
        let silent = |why: String| Trouble::Silent { url: url.to_string(), why };
        match tokio::time::timeout(self.waits.head, request.send()).await {
            Err(_) => Err(silent(format!("no answer within {:?}", self.waits.head))),
            Ok(Err(e)) if e.is_redirect() => Err(Trouble::Wrong(format!("{url}: {}", answer::innermost(&e)))),
            Ok(Err(e)) => Err(silent(answer::innermost(&e))),
            Ok(Ok(response)) => Ok(response),
        }
    }
}
