//! Calls to webhooks: over TLS to a URL, or to an endpoint of a Service (upstream: `apiserver/pkg/util/webhook`, with
//! `--enable-aggregator-routing`). Redirects are not followed, answers are bounded, connections are used again.

mod answer;
mod peer;
mod place;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use admission::Call;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use kinds::webhook::Client;
use registry::Registry;

use crate::limits;

use peer::Peer;
use place::Place;

/// Who asks: upstream's name.
const AGENT: &str = "kube-apiserver-webhook";

/// Calls webhooks.
pub struct Webhooks {
    /// Where Services and their endpoints are.
    registry: Weak<Registry>,
    peers: Mutex<HashMap<Client, Arc<Peer>>>,
}

impl Webhooks {
    /// Calls those that Services of this registry lead to, or URLs.
    pub fn new(registry: &Arc<Registry>) -> Self {
        Webhooks { registry: Arc::downgrade(registry), peers: Mutex::default() }
    }

    /// What is remembered of a webhook.
    fn peer(&self, client: &Client) -> Result<Arc<Peer>, String> {
        let lock = || self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(client) {
            return Ok(known.clone());
        }
        let new = Arc::new(Peer::new(&client.bundle)?);
        let mut peers = lock();
        if peers.len() >= limits::WEBHOOKS {
            peers.clear();
        }
        Ok(peers.entry(client.clone()).or_insert(new).clone())
    }

    async fn exchange(&self, client: &Client, body: Bytes, patience: Duration) -> Result<Bytes, answer::Refusal> {
        let peer = self.peer(client)?;
        let place = Place::of(client)?;
        let host = HeaderValue::from_str(&place.authority).map_err(|e| e.to_string())?;
        let request = Request::post(asked(&place.path, patience))
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, */*")
            .header(USER_AGENT, AGENT)
            .body(transport::full(body))
            .map_err(|e| e.to_string())?;
        let sent = match peer.reuse(request).await? {
            Ok(answered) => answered,
            Err(request) => {
                let registry = self.registry.upgrade().ok_or("the server is shutting down")?;
                let address = place.address(&registry).await?;
                peer.send(&address, &place.name, *request).await?
            }
        };
        let (mut answered, sender) = sent;
        let body = answer::read(&mut answered).await?;
        peer.keep(sender);
        answer::judge(answered.status(), body)
    }
}

/// A path, or a URL, that says how long an answer is waited for, as upstream's client does.
fn asked(path: &str, patience: Duration) -> String {
    format!("{path}?timeout={}s", patience.as_secs())
}

#[async_trait]
impl Call for Webhooks {
    async fn post(&self, client: &Client, body: Bytes, patience: Duration) -> Result<Bytes, String> {
        let done = tokio::time::timeout(patience, self.exchange(client, body, patience)).await;
        let unsent = |why: &str| format!("Post {:?}: {why}", asked(&client.url(), patience));
        match done {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(answer::Refusal::Answered(why))) => Err(why),
            Ok(Err(answer::Refusal::Unreached(why))) => Err(unsent(&why)),
            Err(_) => Err(unsent("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")),
        }
    }
}
