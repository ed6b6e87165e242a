//! Sending to a registry (the distribution specification's "Push"): blobs that it lacks, then the manifest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Body, Method, StatusCode, Url};
use tokio::io::AsyncReadExt;

use super::host::{Host, words};
use super::{Clients, Trouble, answer, hosts};
use crate::image::Reference;
use crate::limits::{self, Waits};
use crate::Credentials;

/// Bytes of a file that are read at once.
const PIECE: usize = 64 << 10;

/// A conversation with the one host that a registry's images are sent to.
pub(in crate::image) struct Push {
    host: Host,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(in crate::image) enum Content {
    /// Bytes.
    Bytes(Bytes),
    /// A file, and how long it is.
    File(Arc<std::fs::File>, u64),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }

    /// From its beginning; counts what has gone.
    fn body(&self, gone: &Arc<AtomicU64>) -> std::io::Result<Body> {
        let file = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone().into()),
            Self::File(file, _) => file,
        };
        // Opened anew: each try reads from the beginning.
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&**file));
        let file = tokio::fs::File::from_std(std::fs::File::open(path)?);
        let gone = gone.clone();
        let next = move |mut file: tokio::fs::File| {
            let gone = gone.clone();
            async move {
                let mut piece = Vec::with_capacity(PIECE);
                let length = file.read_buf(&mut piece).await?;
                gone.fetch_add(length as u64, Ordering::Relaxed);
                Ok::<_, std::io::Error>((length > 0).then(|| (Frame::data(Bytes::from(piece)), file)))
            }
        };
        Ok(Body::wrap(StreamBody::new(futures::stream::try_unfold(file, next))))
    }
}

impl Push {
    /// With the first host of the registry that takes images.
    pub(in crate::image) fn new(
        clients: &Clients, waits: Waits, root: Option<&std::path::Path>, reference: &Reference,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Trouble> {
        let entries = hosts::of(root, &reference.domain).map_err(Trouble::Local)?;
        let takes = || Trouble::Local(format!("no host of {} takes images, as its hosts.toml has it", reference.domain));
        let entry = entries.into_iter().find(|entry| entry.push).ok_or_else(takes)?;
        Ok(Self { host: Host::new(entry, clients, waits, reference, credentials, "pull,push")? })
    }

    /// Whether the registry has a blob.
    async fn has(&self, digest: &str) -> Result<bool, Trouble> {
        let url = self.host.url(&format!("blobs/{digest}"))?;
        let response = self.host.ask(&Method::HEAD, &url, HeaderMap::new()).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(answer::refusal(response, &Method::HEAD, &url, self.host.waits.idle).await),
        }
    }

    /// Sends a blob, unless the registry has it.
    pub(in crate::image) async fn blob(&self, digest: &str, content: &Content) -> Result<(), Trouble> {
        let (mut tries, mut pause) = (0, self.host.waits.pause);
        loop {
            let trouble = match self.try_blob(digest, content).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            };
            tries += 1;
            if !trouble.passes() || tries >= limits::TRIES {
                return Err(trouble);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn try_blob(&self, digest: &str, content: &Content) -> Result<(), Trouble> {
        if self.has(digest).await? {
            return Ok(());
        }
        let url = self.host.url("blobs/uploads/")?;
        let header = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("0"))]);
        let response = self.host.ask(&Method::POST, &url, header).await?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(answer::refusal(response, &Method::POST, &url, self.host.waits.idle).await);
        }
        let wrong = |why: &str| Trouble::Wrong(format!("{url}: {why}"));
        let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
        let mut place = url.join(place.ok_or_else(|| wrong("an upload without a place"))?).map_err(|e| wrong(&e.to_string()))?;
        if place.scheme() != url.scheme() && place.scheme() != "https" {
            return Err(wrong("an upload leads from https to http"));
        }
        place.query_pairs_mut().append_pair("digest", digest);
        self.put(&place, "application/octet-stream", content).await
    }

    /// Sends a manifest under a tag.
    pub(in crate::image) async fn manifest(&self, tag: &str, kind: &'static str, bytes: Bytes) -> Result<(), Trouble> {
        let url = self.host.url(&format!("manifests/{tag}"))?;
        self.put(&url, kind, &Content::Bytes(bytes)).await
    }

    /// Puts something in a place; says who asks where that is wanted.
    async fn put(&self, url: &Url, kind: &'static str, content: &Content) -> Result<(), Trouble> {
        let mut asked = false;
        loop {
            let gone = Arc::new(AtomicU64::new(0));
            let body = content.body(&gone).map_err(|e| Trouble::Local(e.to_string()))?;
            let request = self.host.client.put(url.clone()).headers(self.host.secrets(url));
            let request = request.header(CONTENT_TYPE, kind).header(CONTENT_LENGTH, content.size()).body(body);
            let response = self.sent(request, url, &gone).await?;
            match response.status() {
                StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::ACCEPTED => return Ok(()),
                StatusCode::UNAUTHORIZED if !asked && self.host.is_own(response.url()) => {
                    asked = true;
                    self.host.authorize(response.headers()).await?;
                }
                _ => return Err(answer::refusal(response, &Method::PUT, url, self.host.waits.idle).await),
            }
        }
    }

    /// Waits for the answer as long as something goes.
    async fn sent(
        &self, request: reqwest::RequestBuilder, url: &Url, gone: &AtomicU64,
    ) -> Result<reqwest::Response, Trouble> {
        let mut answer = std::pin::pin!(request.send());
        let mut before = 0;
        loop {
            match tokio::time::timeout(self.host.waits.head, &mut answer).await {
                Ok(answer) => return answer.map_err(|e| words("PUT", url, answer::innermost(&e))),
                Err(_) => {
                    let now = gone.load(Ordering::Relaxed);
                    if now == before {
                        return Err(words("PUT", url, format!("no answer within {:?}", self.host.waits.head)));
                    }
                    before = now;
                }
            }
        }
    }
}
