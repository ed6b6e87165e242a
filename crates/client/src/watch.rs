//! One watch: a streamed list, then changes, resumed after every interruption.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Api;
use kube::Resource;
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use tokio::time::Instant;

use crate::frames::{self, Events};
use crate::informer::{Informer, Kind};

/// First pause after a failure; an API server that is starting is up a few milliseconds later.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lived this long was a good one: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(5);
/// Watches end after 290 s at the server; one that is silent for longer than this is dead.
const SILENCE: Duration = Duration::from_secs(300);

/// What takes a watch in.
pub trait Sink<T>: Send + Sync {
    /// A complete list as of a revision: what is not in it is gone.
    fn replace(&self, list: Vec<T>, revision: u64);
    /// An object as it is now.
    fn apply(&self, object: T);
    /// The end of an object, given as it was last.
    fn delete(&self, object: T);
    /// Everything up to this revision has been seen.
    fn bookmark(&self, revision: u64);
}

/// Of an object's metadata what tells it from others, who owns it, and whether it is being deleted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Partial")]
pub struct Metadata {
    /// Everything else in it is left empty.
    pub metadata: ObjectMeta,
}

/// A `PartialObjectMetadata`, read as far as it is needed: most of one is managed fields.
#[derive(Deserialize)]
struct Partial {
    metadata: Needed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Needed {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

impl From<Partial> for Metadata {
    fn from(Partial { metadata }: Partial) -> Self {
        let Needed { name, namespace, uid, resource_version, deletion_timestamp, finalizers, owner_references } = metadata;
        let empty = ObjectMeta::default();
        Metadata {
            metadata: ObjectMeta { name, namespace, uid, resource_version, deletion_timestamp, finalizers, owner_references, ..empty },
        }
    }
}

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

/// Keeps an informer current until it is dropped.
pub(crate) async fn typed<K: Kind>(informer: Informer<K>, api: Api<K>, fields: String) {
    let (request, client) = (Request::new(api.resource_url()), api.into_client());
    let open = |params: WatchParams, version: String| {
        let (request, client) = (request.watch(&params, &version), client.clone());
        async move { frames::events(&client, request.map_err(kube::Error::BuildRequest)?).await }
    };
    run(&informer, &K::kind(&()), &fields, open, Resource::meta).await;
}

/// Keeps a sink current with the metadata of all objects of a resource, until it is dropped.
pub async fn metadata(sink: &impl Sink<Metadata>, api: Api<DynamicObject>, name: &str) {
    let (request, client) = (Request::new(api.resource_url()), api.into_client());
    let open = |params: WatchParams, version: String| {
        let (request, client) = (request.watch_metadata(&params, &version), client.clone());
        async move { frames::events(&client, request.map_err(kube::Error::BuildRequest)?).await }
    };
    run(sink, name, "", open, |object| &object.metadata).await;
}

/// Where an object has its metadata.
type Meta<T> = fn(&T) -> &ObjectMeta;

async fn run<T, S, O, F>(sink: &S, kind: &str, fields: &str, open: O, meta: Meta<T>)
where
    S: Sink<T>,
    O: Fn(WatchParams, String) -> F,
    F: Future<Output = kube::Result<Events<T>>>,
{
    let mut position = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let end = once(sink, fields, &open, meta, &mut position).await;
        if end.expired() {
            position = None;
        }
        if begun.elapsed() >= GOOD {
            pause = FIRST_PAUSE;
        }
        tracing::debug!(kind, error = %end, pause_ms = pause.as_millis() as u64, "watch interrupted");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One watch from `position` (a new list if there is none), which it moves forward.
async fn once<T, S, O, F>(sink: &S, fields: &str, open: &O, meta: Meta<T>, position: &mut Option<u64>) -> End
where
    S: Sink<T>,
    O: Fn(WatchParams, String) -> F,
    F: Future<Output = kube::Result<Events<T>>>,
{
    let params = WatchParams {
        field_selector: Some(fields.to_owned()).filter(|f| !f.is_empty()),
        bookmarks: true,
        send_initial_events: position.is_none(),
        ..WatchParams::default()
    };
    let version = position.unwrap_or(0).to_string();
    let mut stream = match open(params, version).await {
        Ok(stream) => stream,
        Err(error) => return End::Failed(error),
    };
    if position.is_none() {
        match list(&mut stream).await {
            Ok((objects, revision)) => {
                sink.replace(objects, revision);
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
                let revision = revision_of(meta(&object));
                sink.apply(object);
                revision
            }
            WatchEvent::Deleted(object) => {
                let revision = revision_of(meta(&object));
                sink.delete(object);
                revision
            }
            WatchEvent::Bookmark(bookmark) => {
                let revision = bookmark.metadata.resource_version.parse().unwrap_or(0);
                sink.bookmark(revision);
                revision
            }
            WatchEvent::Error(status) => return End::Refused(status),
        };
        *position = (*position).max(Some(revision));
    }
}

fn revision_of(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// The initial events, up to the bookmark that ends them.
async fn list<T>(stream: &mut Events<T>) -> Result<(Vec<T>, u64), End> {
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

/// The next event.
async fn next<T>(stream: &mut Events<T>) -> Result<WatchEvent<T>, End> {
    match tokio::time::timeout(SILENCE, stream.next()).await {
        Ok(Some(event)) => Ok(event?),
        Ok(None) => Err(End::Closed),
        Err(_) => Err(End::Silent),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::future::BoxFuture;
    use http::Response;
    use k8s_openapi::api::core::v1::ConfigMap;
    use tokio_util::sync::CancellationToken;

    /// Answers the n-th request with the n-th script: a status code and lines; then silence.
    struct Script(Mutex<Vec<(u16, Vec<String>)>>, Arc<Mutex<Vec<String>>>);

    impl transport::Transport for Script {
        fn send(&self, request: http::Request<transport::Body>) -> BoxFuture<'static, Result<Response<transport::Body>, transport::Error>> {
            self.1.lock().expect("whole").push(request.uri().query().unwrap_or("").to_owned());
            let next = self.0.lock().expect("whole").pop();
            Box::pin(async move {
                match next {
                    Some((0, _)) => Err("not up yet".into()),
                    Some((code, lines)) => {
                        let answer = Response::builder().status(code).body(transport::full(lines.join("\n") + "\n"));
                        Ok(answer.expect("valid"))
                    }
                    None => std::future::pending().await,
                }
            })
        }
    }

    fn event(type_: &str, name: &str, version: u64) -> String {
        let end = if type_ == "BOOKMARK" { r#","annotations":{"k8s.io/initial-events-end":"true"}"# } else { "" };
        format!(
            r#"{{"type":"{type_}","object":{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"n","resourceVersion":"{version}"{end}}}}}}}"#
        )
    }

    #[test]
    fn metadata_is_read_as_far_as_it_is_needed() {
        let line = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a","uid":"u",
            "labels":{"x":"y"},"deletionTimestamp":"2026-01-02T03:04:05Z","finalizers":["f"],
            "ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p","uid":"o"}],
            "managedFields":[{"manager":"m","fieldsV1":{"f:data":{}}}]}}"#;
        let read: super::Metadata = serde_json::from_str(line).expect("is read");
        let meta = read.metadata;
        assert_eq!((meta.name.as_deref(), meta.uid.as_deref()), (Some("a"), Some("u")));
        assert!(meta.deletion_timestamp.is_some() && meta.finalizers == Some(vec!["f".to_owned()]));
        assert_eq!(meta.owner_references.expect("owned")[0].uid, "o");
        assert!(meta.labels.is_none() && meta.managed_fields.is_none());
    }

    #[tokio::test]
    async fn survives_interruptions_and_expiry() {
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410,"reason":"Expired","message":"too old"}}"#;
        let odd = r#"{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"o"},"data":[]}}"#;
        let mut scripts = vec![
            (0, vec![]),
            (200, vec![event("ADDED", "a", 3), odd.to_owned(), event("ADDED", "b", 4), event("BOOKMARK", "", 7), event("MODIFIED", "a", 8)]),
            (200, vec![event("DELETED", "b", 9), gone.to_owned()]),
            (200, vec![event("ADDED", "c", 12), event("BOOKMARK", "", 20)]),
        ];
        scripts.reverse();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let client = crate::connect::in_process(Arc::new(Script(Mutex::new(scripts), asked.clone())));
        let stop = CancellationToken::new();
        let hub = crate::Hub::new(client, stop.clone());
        let informer = hub.informer::<ConfigMap>();
        let (sender, mut log) = tokio::sync::mpsc::unbounded_channel();
        informer.on_change(move |change| {
            let name = change.latest().metadata.name.clone().unwrap_or_default();
            let _ = sender.send(format!("{}{name}", if change.new.is_some() { "+" } else { "-" }));
        });
        let mut revision = informer.revision();
        revision.wait_for(|r| *r == 20).await.expect("the sender lives");
        stop.cancel();
        let mut changes = Vec::new();
        while let Ok(change) = log.try_recv() {
            changes.push(change);
        }
        assert_eq!(changes, ["+a", "+b", "+a", "-b", "+c", "-a"]);
        let asked = asked.lock().expect("whole");
        assert!(asked[1].contains("sendInitialEvents=true"));
        assert!(asked[2].contains("resourceVersion=8") && !asked[2].contains("sendInitialEvents=true"), "{}", asked[2]);
        assert!(asked[3].contains("sendInitialEvents=true"));
        assert_eq!(informer.snapshot().len(), 1);
        assert!(informer.is_synced());
    }
}
