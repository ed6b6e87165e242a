//! Answers of registries, read within bounds.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::Trouble;
use crate::limits;

/// The body of an answer.
pub(in crate::image) struct Source {
    response: Response,
    url: Url,
    /// The byte that it begins with, of the whole.
    pub(in crate::image) start: u64,
    /// The host that it is from, by its place.
    pub(in crate::image) host: usize,
    idle: Duration,
}

impl Source {
    pub(super) fn new(response: Response, url: Url, from: u64, idle: Duration, host: usize) -> Result<Self, Trouble> {
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => start_of(response.headers())
                .filter(|start| *start <= from)
                .ok_or_else(|| Trouble::Wrong(format!("{url}: a part that was not asked for")))?,
            _ => 0,
        };
        Ok(Self { response, url, start, host, idle })
    }

    /// The next bytes; `None` at the end.
    pub(in crate::image) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        let broken = |why: String| Trouble::Broken(format!("{}: {why}", self.url));
        match tokio::time::timeout(self.idle, self.response.chunk()).await {
            Err(_) => Err(broken(format!("nothing came for {:?}", self.idle))),
            Ok(Err(e)) => Err(broken(innermost(&e))),
            Ok(Ok(chunk)) => Ok(chunk),
        }
    }

    /// All of it, if that is little and comes soon.
    pub(super) async fn document(mut self, what: &str, most: u64, within: Duration) -> Result<Vec<u8>, Trouble> {
        let too_much = || Trouble::Wrong(format!("{what} exceeds the limit of {most} bytes"));
        if self.response.content_length().is_some_and(|length| length > most) {
            return Err(too_much());
        }
        let read = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = self.next().await? {
                if (bytes.len() + chunk.len()) as u64 > most {
                    return Err(too_much());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        match tokio::time::timeout(within, read).await {
            Ok(read) => read,
            Err(_) => Err(Trouble::Wrong(format!("{what} did not come within {within:?}"))),
        }
    }
}

/// `bytes START-END/TOTAL`.
fn start_of(headers: &HeaderMap) -> Option<u64> {
    start(headers.get(CONTENT_RANGE)?.to_str().ok()?)
}

/// The first byte of a range.
pub(super) fn start(range: &str) -> Option<u64> {
    range.trim().strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// The errors in a registry's refusal.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    errors: Vec<Reason>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reason {
    code: String,
    message: String,
}

/// What an answer that is none says.
pub(super) async fn refusal(response: Response, method: &Method, url: &Url, idle: Duration) -> Trouble {
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return Trouble::NotFound;
    }
    let denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let source = Source { response, url: url.clone(), start: 0, host: 0, idle };
    let body = source.document("refusal", limits::REFUSAL, idle).await.unwrap_or_default();
    let said = said(&body);
    if denied {
        let said = if said.is_empty() { format!("{status}") } else { format!("server message: {said}") };
        return Trouble::Denied(said);
    }
    let message = if said.is_empty() { said } else { format!(": {said}") };
    Trouble::Status { method: method.clone(), url: url.to_string(), status, message }
}

/// The reasons in the body of a refusal.
pub(super) fn said(body: &[u8]) -> String {
    let found: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let said: Vec<String> = found.errors.iter().take(4).map(|e| format!("{}: {}", e.code.to_lowercase(), e.message)).collect();
    told(&said.join(", "))
}

/// A text from outside, as it may stand in an event: one line, and not long.
pub(super) fn told(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(limits::REFUSAL_TOLD).collect()
}

/// What lies at the bottom of an error: the outer ones say only that something failed.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut at = error;
    while let Some(inner) = at.source() {
        at = inner;
    }
    told(&at.to_string())
}
