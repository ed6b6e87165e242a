//! One host of a registry, and one repository of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::hosts::Entry;
use super::{Clients, Trouble, answer, token};
use crate::image::Reference;
use crate::image::reference::is_repository;
use crate::limits::{self, Waits};
use crate::Credentials;

/// See the module.
pub(super) struct Host {
    pub(super) client: Arc<Client>,
    pub(super) waits: Waits,
    /// `https://registry/v2/repository/`.
    pub(super) base: Url,
    pub(super) repository: String,
    /// The name that images have the registry by, where this is a mirror of it.
    namespace: Option<String>,
    header: HeaderMap,
    /// Only for the registry itself: a mirror is somebody else.
    pub(super) credentials: Option<Credentials>,
    /// What a token is for.
    pub(super) actions: &'static str,
    authorization: Mutex<Option<HeaderValue>>,
    /// Whether tags are asked of it.
    pub(super) resolve: bool,
    /// Whether what has a digest is.
    pub(super) pull: bool,
    /// It did not answer, or broke off: others are asked first.
    away: AtomicBool,
}

/// The host that serves a registry's name.
fn own_host(domain: &str) -> &str {
    if domain == "docker.io" { "registry-1.docker.io" } else { domain }
}

impl Host {
    pub(super) fn new(
        entry: Entry, clients: &Clients, waits: Waits, reference: &Reference, credentials: Option<&Credentials>,
        actions: &'static str,
    ) -> Result<Self, Trouble> {
        let scheme = if reference.is_loopback() { "http" } else { "https" };
        let own = format!("{scheme}://{}/v2", own_host(&reference.domain));
        let own = Url::parse(&own).map_err(|e| Trouble::Wrong(format!("{own}: {e}")))?;
        let url = entry.url.unwrap_or_else(|| own.clone());
        let rewritten = entry.rewrite.iter().find(|(pattern, _)| pattern.is_match(&reference.path));
        let repository = match rewritten {
            Some((pattern, to)) => pattern.replace_all(&reference.path, to.as_str()).into_owned(),
            None => reference.path.clone(),
        };
        if !is_repository(&repository) {
            return Err(Trouble::Local(format!("{repository:?}, as {} is rewritten, is no repository", reference.path)));
        }
        let base = format!("{}/{repository}/", url.as_str().trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|e| Trouble::Wrong(format!("{base}: {e}")))?;
        let known = entry.server || url.host_str() == own.host_str() && url.port_or_known_default() == own.port_or_known_default();
        Ok(Self {
            client: clients.get(&waits, &entry.tls)?,
            waits,
            base,
            repository,
            namespace: (!entry.server && !known).then(|| reference.domain.clone()),
            header: entry.header,
            credentials: credentials.filter(|_| known).cloned(),
            actions,
            authorization: Mutex::default(),
            resolve: entry.resolve,
            pull: entry.pull,
            away: AtomicBool::new(false),
        })
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.away.store(true, Ordering::Relaxed);
    }

    /// The address of something of the repository.
    pub(super) fn url(&self, path: &str) -> Result<Url, Trouble> {
        let mut url = self.base.join(path).map_err(|e| Trouble::Wrong(format!("{path}: {e}")))?;
        if let Some(namespace) = &self.namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        Ok(url)
    }

    /// Asks, follows, and says who asks where that is wanted: the host itself is told, and once.
    pub(super) async fn ask(&self, method: &Method, url: &Url, header: HeaderMap) -> Result<Response, Trouble> {
        let mut asked = false;
        loop {
            let response = self.follow(method, url, &header).await?;
            if response.status() != StatusCode::UNAUTHORIZED || asked || !self.is_own(response.url()) {
                return Ok(response);
            }
            asked = true;
            self.authorize(response.headers()).await?;
        }
    }

    /// Gets what a refusal wants to see.
    pub(super) async fn authorize(&self, refusal: &HeaderMap) -> Result<(), Trouble> {
        let authorization = token::authorize(self, refusal).await?;
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
        Ok(())
    }

    /// Whether an address is of this host.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// What is said to this host and to no other.
    pub(super) fn secrets(&self, url: &Url) -> HeaderMap {
        if !self.is_own(url) {
            return HeaderMap::new();
        }
        let mut header = self.header.clone();
        let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(authorization) = authorization {
            header.insert(AUTHORIZATION, authorization);
        }
        header
    }

    async fn follow(&self, method: &Method, url: &Url, header: &HeaderMap) -> Result<Response, Trouble> {
        let mut at = url.clone();
        for _ in 0..=limits::REDIRECTS {
            let request = self.client.request(method.clone(), at.clone()).headers(self.secrets(&at)).headers(header.clone());
            let response = send(request, url, &self.waits, method.as_str()).await?;
            let Some(next) = redirect(&response) else { return Ok(response) };
            let next = at.join(&next).map_err(|e| Trouble::Wrong(format!("{url}: a redirect leads nowhere: {e}")))?;
            if !matches!(next.scheme(), "http" | "https") || at.scheme() == "https" && next.scheme() != "https" {
                return Err(Trouble::Wrong(format!("{url}: a redirect leads from {} to {}", at.scheme(), next.scheme())));
            }
            at = next;
        }
        Err(Trouble::Wrong(format!("{url}: stopped after {} redirects", limits::REDIRECTS)))
    }
}

fn redirect(response: &Response) -> Option<String> {
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let place = response.headers().get(LOCATION).filter(|_| moved)?;
    place.to_str().ok().map(str::to_owned)
}

/// Sends a request; what is not answered in time is silence.
pub(super) async fn send(
    request: reqwest::RequestBuilder, url: &Url, waits: &Waits, method: &str,
) -> Result<Response, Trouble> {
    match tokio::time::timeout(waits.head, request.send()).await {
        Err(_) => Err(words(method, url, format!("no answer within {:?}", waits.head))),
        Ok(Err(e)) => Err(words(method, url, answer::innermost(&e))),
        Ok(Ok(response)) => Ok(response),
    }
}

/// Says that a request was not answered.
pub(super) fn words(method: &str, url: &Url, why: String) -> Trouble {
    let method = match method {
        "GET" => "Get",
        "HEAD" => "Head",
        "POST" => "Post",
        _ => "Put",
    };
    Trouble::Silent { method, url: url.to_string(), why }
}
