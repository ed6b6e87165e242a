//! The body of a WATCH: one JSON frame an event (upstream: `endpoints/handlers/watch.go`).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http_body::Frame;
use kinds::Descriptor;
use meta::{Encoded, Key, Status};
use registry::api::{WatchEvent, WatchStream};
use schema::proto;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use transport::Error;

use crate::answer;
use crate::negotiate::{Format, not_acceptable};
use crate::shape::{self, Tables};

/// Frames that are ready are sent together, up to about so many bytes.
const BATCH: usize = 64 * 1024;

/// What becomes of each object.
pub enum Form {
    /// As it is.
    Whole,
    /// Metadata alone, of that version of `meta.k8s.io`.
    Partial(&'static str),
    /// A table with one row.
    Table(Tables),
}

/// Turns events into frames.
pub struct Frames {
    form: Form,
    format: Format,
    /// The kind and apiVersion of bookmarks.
    kind: String,
    api_version: String,
    /// Whether a table's columns were described already.
    described: bool,
}

impl Frames {
    /// Frames of a kind.
    pub fn new(kind: &Descriptor, form: Form, format: Format) -> Self {
        let api_version = kind.gvk.api_version();
        Frames { form, format, kind: kind.gvk.kind.to_string(), api_version, described: false }
    }

    /// Appends the frame of an event. A failure becomes an ERROR frame.
    fn push(&mut self, event: &WatchEvent, out: &mut BytesMut) {
        let (name, object) = match event {
            WatchEvent::Added(object) => ("ADDED", self.object(object)),
            WatchEvent::Modified(object) => ("MODIFIED", self.object(object)),
            WatchEvent::Deleted(object) => ("DELETED", self.object(object)),
            WatchEvent::Bookmark { revision, initial_end } => {
                let bookmark = self.bookmark(*revision, *initial_end);
                ("BOOKMARK", self.object(&bookmark))
            }
            WatchEvent::Error(status) => ("ERROR", self.status(status)),
        };
        let (name, object) = match object {
            Ok(object) => (name, object),
            Err(status) => ("ERROR", self.status(&status).unwrap_or_default()),
        };
        if self.format == Format::Protobuf {
            return proto::watch_frame(name, &object, out);
        }
        out.reserve(object.len() + 40);
        out.extend_from_slice(br#"{"type":""#);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(br#"","object":"#);
        out.extend_from_slice(&object);
        out.extend_from_slice(b"}\n");
    }

    fn object(&mut self, object: &Arc<Encoded>) -> Result<Bytes, Status> {
        let protobuf = self.format == Format::Protobuf;
        match &self.form {
            Form::Whole if protobuf => object.protobuf().ok_or_else(not_acceptable),
            Form::Whole => object.json(),
            Form::Partial(version) if protobuf => shape::partial_proto(object, version),
            Form::Partial(version) => shape::partial(object, version),
            Form::Table(tables) => {
                let headings = !std::mem::replace(&mut self.described, true);
                tables.table(std::iter::once(object), &shape::table_metadata(object.revision), headings)
            }
        }
    }

    fn status(&self, status: &Status) -> Result<Bytes, Status> {
        let json = answer::status_json(status);
        if self.format == Format::Protobuf { answer::protobuf(&json) } else { Ok(json) }
    }

    fn bookmark(&self, revision: u64, initial_end: bool) -> Arc<Encoded> {
        let end = if initial_end { r#","annotations":{"k8s.io/initial-events-end":"true"}"# } else { "" };
        let json = format!(
            r#"{{"kind":"{}","apiVersion":"{}","metadata":{{"resourceVersion":"{revision}"{end}}}}}"#,
            self.kind, self.api_version
        );
        registry::shown(Key::new("", ""), revision, json.into())
    }
}

/// The body. It ends when the watch does, or when the server shuts down.
pub struct WatchBody {
    /// Never locked: the mutex makes a stream that only one task polls shareable.
    events: Mutex<WatchStream>,
    frames: Frames,
    /// One future, in a set that asks it only when it has something to say: the token has one lock for all watches.
    shutdown: FuturesUnordered<WaitForCancellationFutureOwned>,
    ended: bool,
}

impl WatchBody {
    /// Frames of the events until one of them ends it.
    pub fn new(events: WatchStream, frames: Frames, shutdown: CancellationToken) -> Self {
        let shutdown = FuturesUnordered::from_iter([shutdown.cancelled_owned()]);
        WatchBody { events: Mutex::new(events), frames, shutdown, ended: false }
    }

    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let events = self.events.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut out = BytesMut::new();
        while !self.ended && out.len() < BATCH {
            match events.poll_next_unpin(context) {
                Poll::Ready(Some(event)) => {
                    self.frames.push(&event, &mut out);
                    self.ended = matches!(event, WatchEvent::Error(_));
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending if self.shutdown.poll_next_unpin(context).is_ready() => self.ended = true,
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready((!out.is_empty()).then(|| out.freeze()))
    }
}

impl http_body::Body for WatchBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.next(context).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body;
    use http_body_util::BodyExt;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    fn map() -> (Arc<Encoded>, Frames) {
        let kind = kinds::all().into_iter().find(|k| &*k.resource == "configmaps").expect("there");
        let json = Bytes::from_static(br#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{}}"#);
        (registry::shown(Key::new("d", "a"), 3, json), Frames::new(&kind, Form::Partial("v1"), Format::Json))
    }

    /// A task that counts how often it is woken.
    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_events_and_by_the_end_of_the_server() {
        let (object, frames) = map();
        let (sender, events) = futures::channel::mpsc::unbounded();
        let send = || sender.unbounded_send(WatchEvent::Added(object.clone())).expect("it listens");
        let shutdown = CancellationToken::new();
        let mut body = WatchBody::new(events.boxed(), frames, shutdown.clone());
        let mut poll = |bell: &Arc<Bell>| {
            let waker = Waker::from(bell.clone());
            Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)).map(|frame| frame.is_some())
        };
        let (bell, other) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let rung = |bell: &Bell| bell.0.swap(0, Ordering::SeqCst) > 0;
        assert_eq!(poll(&bell), Poll::Pending);
        rung(&bell);
        send();
        assert!(rung(&bell));
        assert_eq!(poll(&bell), Poll::Ready(true));
        assert_eq!(poll(&bell), Poll::Pending);
        assert!(!rung(&bell));
        send();
        assert!(rung(&bell));
        assert_eq!(poll(&bell), Poll::Ready(true));
        send();
        assert!(rung(&bell), "between a frame and the next question, too");
        // A connection that waits for its client may have used up this call: it asks once.
        assert_eq!(poll(&bell), Poll::Ready(true));
        assert_eq!(poll(&other), Poll::Pending);
        send();
        assert!(rung(&other), "another task took the body over");
        assert_eq!(poll(&other), Poll::Ready(true));
        assert_eq!(poll(&other), Poll::Pending);
        shutdown.cancel();
        assert!(rung(&other));
        assert_eq!(poll(&other), Poll::Ready(false));
    }

    #[tokio::test]
    async fn events_become_lines() {
        let (object, frames) = map();
        let events = vec![
            WatchEvent::Added(object),
            WatchEvent::Bookmark { revision: 4, initial_end: true },
            WatchEvent::Error(Status::expired("too old")),
        ];
        let events = futures::stream::iter(events).chain(futures::stream::pending()).boxed();
        let body = WatchBody::new(events, frames, CancellationToken::new());
        let bytes = body.collect().await.expect("ends after the error").to_bytes();
        let lines: Vec<&str> = std::str::from_utf8(&bytes).expect("is text").lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            r#"{"type":"ADDED","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a"}}}"#
        );
        assert!(lines[1].contains(r#""resourceVersion":"4","annotations":{"k8s.io/initial-events-end":"true"}"#));
        assert!(lines[2].starts_with(r#"{"type":"ERROR","object":{"#) && lines[2].contains("Expired"));
    }
}
