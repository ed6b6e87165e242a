//! Events: short notes about objects for people, recorded aside, aggregated, and never waited for.
//!
//! Equal events become one with a count, many similar ones become one "combined" event, and one object
//! cannot cause more than a trickle (upstream: `client-go/tools/record/events_cache.go`).

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::ResourceExt;
use serde_json::json;
use tokio::sync::mpsc;

use crate::informer::Kind;
use correlate::{Correlator, Verdict};

mod correlate;

/// Events waiting to be written; more are dropped.
const BACKLOG: usize = 1000;

/// In which of the two equal-ranking forms a component writes its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `source`, `firstTimestamp`, `count`: controllers and kubelet.
    Core,
    /// `reportingController`, `action`, `eventTime`, `series`: the scheduler and the proxy.
    Modern,
}

/// One event to be recorded.
#[derive(Clone, Debug)]
pub struct Note {
    /// The object that it is about.
    pub regarding: ObjectReference,
    /// Another object that had a part in it.
    pub related: Option<ObjectReference>,
    /// `Normal` or `Warning`.
    pub type_: &'static str,
    /// CamelCase, for machines.
    pub reason: String,
    /// What was being done, CamelCase; empty in [`Form::Core`].
    pub action: String,
    /// The text, for people.
    pub message: String,
    /// When it happened.
    pub at: Timestamp,
    /// Figures for machines, as annotations of the event.
    pub annotations: BTreeMap<String, String>,
}

/// Anything that can be pointed at by an event.
pub trait Regarding {
    /// The reference.
    fn regarding(&self) -> ObjectReference;
}

impl<K: Kind> Regarding for K {
    fn regarding(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: self.meta().name.clone(),
            namespace: self.namespace(),
            uid: self.uid(),
            resource_version: self.resource_version(),
            field_path: None,
        }
    }
}

/// Records events in the name of one component. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Note>,
}

impl Recorder {
    /// A recorder for a component (`replicaset-controller`, `kubelet`, …) on a host (the node's name, or
    /// empty). It writes in a task of its own, which ends when all its clones are gone.
    pub fn new(client: kube::Client, component: &str, host: &str, form: Form) -> Self {
        let (queue, notes) = mpsc::channel(BACKLOG);
        let writer = Writer { client, component: component.into(), host: host.into(), form };
        tokio::spawn(writer.run(notes));
        Recorder { queue }
    }

    /// A recorder that drops everything, for tests.
    pub fn silent() -> Self {
        Recorder { queue: mpsc::channel(1).0 }
    }

    /// Records an event; dropped without a word when too many wait already.
    pub fn record(&self, note: Note) {
        let _ = self.queue.try_send(note);
    }

    /// Records an event about an object, now.
    pub fn event(&self, object: &impl Regarding, type_: &'static str, reason: &str, message: impl Into<String>) {
        self.record(Note {
            regarding: object.regarding(),
            related: None,
            type_,
            reason: reason.to_owned(),
            action: String::new(),
            message: message.into(),
            at: Timestamp::now(),
            annotations: BTreeMap::new(),
        });
    }
}

struct Writer {
    client: kube::Client,
    component: Arc<str>,
    host: Arc<str>,
    form: Form,
}

impl Writer {
    async fn run(self, mut notes: mpsc::Receiver<Note>) {
        let mut correlator = Correlator::default();
        while let Some(note) = notes.recv().await {
            match AssertUnwindSafe(self.write(&mut correlator, &note)).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(controller = %self.component, reason = %note.reason, %error, "event not recorded");
                }
                Err(_) => tracing::error!(controller = %self.component, reason = %note.reason, "recording an event panicked"),
            }
        }
    }

    async fn write(&self, correlator: &mut Correlator, note: &Note) -> Result<(), kube::Error> {
        let namespace = note.regarding.namespace.as_deref().filter(|n| !n.is_empty()).unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        match correlator.verdict(note) {
            Verdict::Drop => Ok(()),
            Verdict::Repeat { name, count, message } => {
                let patch = self.repeat(note, count, &message);
                match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
                    // It has expired in the meantime: begin anew.
                    Err(kube::Error::Api(status)) if status.code == 404 => {
                        self.create(&api, correlator, note, message, count).await
                    }
                    other => other.map(|_| ()),
                }
            }
            Verdict::New { message } => self.create(&api, correlator, note, message, 1).await,
        }
    }

    async fn create(
        &self,
        api: &Api<Event>,
        correlator: &mut Correlator,
        note: &Note,
        message: String,
        count: i32,
    ) -> Result<(), kube::Error> {
        let event = self.event(note, message, count);
        let name = event.name_any();
        api.create(&PostParams::default(), &event).await?;
        correlator.written(note, name);
        Ok(())
    }

    fn repeat(&self, note: &Note, count: i32, message: &str) -> serde_json::Value {
        match self.form {
            Form::Core => {
                json!({"count": count, "lastTimestamp": meta::time::seconds(note.at), "message": message})
            }
            Form::Modern => json!({"series": {"count": count, "lastObservedTime": meta::time::micros(note.at)}}),
        }
    }

    fn event(&self, note: &Note, message: String, count: i32) -> Event {
        let regarding = &note.regarding;
        let namespace = regarding.namespace.clone().filter(|n| !n.is_empty()).unwrap_or("default".to_owned());
        let name = format!("{}.{:x}", regarding.name.as_deref().unwrap_or(""), note.at.as_nanosecond());
        let core = self.form == Form::Core;
        let annotations = Some(note.annotations.clone()).filter(|annotations| !annotations.is_empty());
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), annotations, ..ObjectMeta::default() },
            involved_object: regarding.clone(),
            related: note.related.clone(),
            reason: Some(note.reason.clone()),
            message: Some(message),
            type_: Some(note.type_.to_owned()),
            action: Some(note.action.clone()).filter(|a| !a.is_empty()),
            count: core.then_some(count),
            first_timestamp: core.then_some(Time(note.at)),
            last_timestamp: core.then_some(Time(note.at)),
            event_time: (!core).then_some(MicroTime(note.at)),
            source: Some(EventSource {
                component: core.then(|| self.component.to_string()),
                host: Some(self.host.to_string()).filter(|h| core && !h.is_empty()),
            }),
            reporting_component: Some(self.component.to_string()),
            reporting_instance: Some(self.host.to_string()),
            ..Event::default()
        }
    }
}
