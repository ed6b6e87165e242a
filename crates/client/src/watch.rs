//! The watch behind an informer: one streamed list, then changes, resumed after every interruption.

use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::api::{WatchEvent, WatchParams};
use kube::Api;
use tokio::time::Instant;

use crate::informer::{Informer, Kind, revision_of};

/// First pause after a failure; an API server that is starting is up a few milliseconds later.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lived this long was a good one: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(5);
/// Watches end after 290 s at the server; one that is silent for longer than this is dead.
const SILENCE: Duration = Duration::from_secs(300);

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum End {
    /// The server closed it, as it does from time to time.
    #[error("closed by the server")]
    Closed,
    #[error("nothing received for {} s", SILENCE.as_secs())]
    Silent,
    #[error("{}: {}", .0.reason, .0.message)]
    Refused(Box<kube::core::Status>),
    #[error(transparent)]
    Failed(#[from] kube::Error),
}

impl End {
    /// Whether the revision to resume from is too old, so that a new list is needed.
    fn expired(&self) -> bool {
        match self {
            End::Refused(status) => status.code == 410,
            End::Failed(kube::Error::Api(status)) => status.code == 410,
            _ => false,
        }
    }
}

/// Keeps the informer current until it is dropped.
pub(crate) async fn run<K: Kind>(informer: Informer<K>, api: Api<K>, fields: String) {
    let mut position = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let end = once(&informer, &api, &fields, &mut position).await;
        if end.expired() {
            position = None;
        }
        if matches!(end, End::Closed) && begun.elapsed() >= GOOD {
            pause = FIRST_PAUSE;
            continue;
        }
        if begun.elapsed() >= GOOD {
            pause = FIRST_PAUSE;
        }
        tracing::debug!(kind = %K::kind(&()), error = %end, pause_ms = pause.as_millis() as u64, "watch interrupted");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One watch from `position` (a new list if there is none), which it moves forward.
async fn once<K: Kind>(informer: &Informer<K>, api: &Api<K>, fields: &str, position: &mut Option<u64>) -> End {
    let params = WatchParams {
        field_selector: Some(fields.to_owned()).filter(|f| !f.is_empty()),
        bookmarks: true,
        send_initial_events: position.is_none(),
        ..WatchParams::default()
    };
    let version = position.unwrap_or(0).to_string();
    let mut stream = match api.watch(&params, &version).await {
        Ok(stream) => stream.boxed(),
        Err(error) => return End::Failed(error),
    };
    if position.is_none() {
        match list(&mut stream).await {
            Ok((objects, revision)) => {
                informer.replace(objects, revision);
                *position = Some(revision);
            }
            Err(end) => return end,
        }
    }
    loop {
        let event = match next(&mut stream).await {
            Ok(event) => event,
            Err(end) => return end,
        };
        let revision = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let revision = revision_of(&object);
                informer.apply(object);
                revision
            }
            WatchEvent::Deleted(object) => {
                informer.delete(&object);
                revision_of(&object)
            }
            WatchEvent::Bookmark(bookmark) => {
                let revision = bookmark.metadata.resource_version.parse().unwrap_or(0);
                informer.bookmark(revision);
                revision
            }
            WatchEvent::Error(status) => return End::Refused(status),
        };
        *position = (*position).max(Some(revision));
    }
}

type Events<K> = futures::stream::BoxStream<'static, kube::Result<WatchEvent<K>>>;

/// The initial events, up to the bookmark that ends them.
async fn list<K: Kind>(stream: &mut Events<K>) -> Result<(Vec<K>, u64), End> {
    let mut objects = Vec::new();
    loop {
        match next(stream).await? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => objects.push(object),
            WatchEvent::Bookmark(b) if b.metadata.annotations.contains_key("k8s.io/initial-events-end") => {
                return Ok((objects, b.metadata.resource_version.parse().unwrap_or(0)));
            }
            WatchEvent::Bookmark(_) | WatchEvent::Deleted(_) => {}
            WatchEvent::Error(status) => return Err(End::Refused(status)),
        }
    }
}

async fn next<K>(stream: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin)) -> Result<WatchEvent<K>, End> {
    match tokio::time::timeout(SILENCE, stream.next()).await {
        Ok(Some(Ok(event))) => Ok(event),
        Ok(Some(Err(error))) => Err(End::Failed(error)),
        Ok(None) => Err(End::Closed),
        Err(_) => Err(End::Silent),
    }
}
