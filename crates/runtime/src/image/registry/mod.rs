//! A conversation with one registry about one repository (the OCI distribution specification).
//!
//! What the other side sends is bounded in bytes and in time. A registry may have several hosts: mirrors, which are asked
//! first, and its own. Credentials go to its own and to where that says that its tokens are made; to mirrors, and where
//! hosts redirect to, they do not.

mod answer;
mod clients;
#[cfg(test)]
mod choices;
mod host;
mod hosts;
mod push;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod mirrors;
#[cfg(test)]
pub(super) mod moods;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
mod token;

use std::path::Path;

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, StatusCode};

use super::Reference;
use crate::Credentials;
use crate::limits::{self, Waits};

pub(super) use answer::Source;
pub(super) use clients::Clients;
pub(super) use push::{Content, Push};

use host::Host;

/// Kinds of manifests that are understood.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// Why something could not be had. The words are containerd's where it has some.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The registry cannot be reached, or says nothing.
    #[error("failed to do request: {method} \"{url}\": {why}")]
    Silent {
        /// How, as Go words it.
        method: &'static str,
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
    #[error("unexpected status from {method} request to {url}: {status}{message}")]
    Status {
        /// How.
        method: Method,
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

/// See the module.
pub(super) struct Session {
    pub(super) waits: Waits,
    /// In the order in which they are asked.
    hosts: Vec<Host>,
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

/// What is asked for, for [`Session::get`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// What a tag stands for.
    Tag,
    /// What has a digest.
    Content,
}

impl Session {
    /// With the hosts that the configuration in `root` has for the registry.
    pub(super) fn new(
        clients: &Clients, waits: Waits, root: Option<&Path>, reference: &Reference, credentials: Option<&Credentials>,
    ) -> Result<Self, Trouble> {
        let entries = hosts::of(root, &reference.domain).map_err(Trouble::Local)?;
        let host = |entry| Host::new(entry, clients, waits, reference, credentials, "pull");
        Ok(Self { waits, hosts: entries.into_iter().map(host).collect::<Result<_, _>>()? })
    }

    /// A manifest or index by tag or digest: its bytes, unverified.
    pub(super) async fn manifest(&self, reference: &str) -> Result<Vec<u8>, Trouble> {
        let wants = if reference.contains(':') { Wants::Content } else { Wants::Tag };
        let source = self.get(&format!("manifests/{reference}"), MANIFESTS, 0, wants).await?;
        source.document("manifest", limits::DOCUMENT, limits::STALL).await
    }

    /// A small blob: its bytes, unverified.
    pub(super) async fn document(&self, digest: &str) -> Result<Vec<u8>, Trouble> {
        let source = self.get(&format!("blobs/{digest}"), "*/*", 0, Wants::Content).await?;
        source.document("configuration", limits::DOCUMENT, limits::STALL).await
    }

    /// A blob from a byte on; a registry may begin before that.
    pub(super) async fn blob(&self, digest: &str, from: u64) -> Result<Source, Trouble> {
        self.get(&format!("blobs/{digest}"), "*/*", from, Wants::Content).await
    }

    /// What a host has sent was of no use: others are asked before it.
    pub(super) fn leave(&self, host: usize) {
        if let Some(host) = self.hosts.get(host) {
            host.leave();
        }
    }

    /// Asks one host after the other. What the last one says counts: that is the registry itself.
    async fn get(&self, path: &str, accept: &'static str, from: u64, wants: Wants) -> Result<Source, Trouble> {
        let serves = |host: &Host| if wants == Wants::Tag { host.resolve } else { host.pull };
        let (away, here): (Vec<usize>, Vec<usize>) =
            (0..self.hosts.len()).filter(|at| serves(&self.hosts[*at])).partition(|at| self.hosts[*at].is_away());
        let mut said = (usize::MAX, Trouble::NotFound);
        for at in here.into_iter().chain(away) {
            match self.get_from(at, path, accept, from).await {
                Err(trouble @ Trouble::Shorter(_)) => return Err(trouble),
                Err(trouble) => {
                    if matches!(trouble, Trouble::Silent { .. }) {
                        self.hosts[at].leave();
                    }
                    if said.0 == usize::MAX || at > said.0 {
                        said = (at, trouble);
                    }
                }
                found => return found,
            }
        }
        Err(said.1)
    }

    async fn get_from(&self, at: usize, path: &str, accept: &'static str, from: u64) -> Result<Source, Trouble> {
        let host = &self.hosts[at];
        let url = host.url(path)?;
        let mut header = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        if from > 0 {
            header.insert(RANGE, HeaderValue::try_from(format!("bytes={from}-")).map_err(|e| Trouble::Local(e.to_string()))?);
        }
        let response = host.ask(&Method::GET, &url, header).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Source::new(response, url, from, self.waits.idle, at),
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Err(Trouble::Shorter(url.to_string())),
            _ => Err(answer::refusal(response, &Method::GET, &url, self.waits.idle).await),
        }
    }
}
