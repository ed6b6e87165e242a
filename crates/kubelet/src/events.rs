//! Events about pods and the node: written beside the work, counted when they repeat, bounded.
//!
//! A full queue drops events: they are for people, and never hold up a pod.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

use crate::spec;

const QUEUE: usize = 512;
/// Different events that are remembered for counting.
const REMEMBERED: usize = 2048;
/// Events of one object at once, and seconds until one more (upstream: `EventSourceObjectSpamFilter`).
const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;

/// Accepts events.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Entry>,
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// As it should be.
    Normal,
    /// Not as it should be.
    Warning,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    about: ObjectReference,
    kind: Kind,
    reason: &'static str,
    message: String,
}

impl Recorder {
    /// Starts the writer; it ends with the last recorder.
    pub fn start(client: Client, node: String) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        tokio::spawn(Writer { client, node, known: HashMap::new(), buckets: HashMap::new() }.run(entries));
        Recorder { queue }
    }

    /// An event about a pod.
    pub fn pod(&self, pod: &Pod, kind: Kind, reason: &'static str, message: impl Into<String>) {
        self.send(reference(pod), kind, reason, message.into());
    }

    /// An event about one container of a pod.
    pub fn container(&self, pod: &Pod, name: &str, kind: Kind, reason: &'static str, message: impl Into<String>) {
        let mut about = reference(pod);
        let list = if spec::init_containers(pod).iter().any(|c| c.name == name) {
            "initContainers"
        } else if spec::of(pod).containers.iter().any(|c| c.name == name) {
            "containers"
        } else {
            "ephemeralContainers"
        };
        about.field_path = Some(format!("spec.{list}{{{name}}}"));
        self.send(about, kind, reason, message.into());
    }

    /// An event about the node.
    pub fn node(&self, node: &str, kind: Kind, reason: &'static str, message: impl Into<String>) {
        let about = ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            uid: Some(node.to_owned()),
            ..ObjectReference::default()
        };
        self.send(about, kind, reason, message.into());
    }

    fn send(&self, about: ObjectReference, kind: Kind, reason: &'static str, message: String) {
        if self.queue.try_send(Entry { about, kind, reason, message }).is_err() {
            tracing::debug!(reason, "event dropped: too many are waiting");
        }
    }
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        field_path: None,
    }
}

type Same = (String, String, &'static str, String);

struct Writer {
    client: Client,
    node: String,
    known: HashMap<Same, (String, i32)>,
    buckets: HashMap<String, (f64, Timestamp)>,
}

impl Writer {
    async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        while let Some(entry) = entries.recv().await {
            let now = Timestamp::now();
            if !self.allow(entry.about.uid.clone().unwrap_or_default(), now) {
                continue;
            }
            if let Err(error) = self.write(entry, now).await {
                tracing::debug!(%error, "event not written");
            }
        }
    }

    /// A bucket of 25 events per object, refilled by one every five minutes.
    fn allow(&mut self, uid: String, now: Timestamp) -> bool {
        if self.buckets.len() >= REMEMBERED {
            self.buckets.clear();
        }
        let (left, since) = self.buckets.entry(uid).or_insert((BURST, now));
        *left = (*left + now.duration_since(*since).as_secs_f64() / REFILL_SECONDS).min(BURST);
        *since = now;
        let allowed = *left >= 1.0;
        *left -= f64::from(u8::from(allowed));
        allowed
    }

    async fn write(&mut self, entry: Entry, now: Timestamp) -> Result<(), kube::Error> {
        let namespace = entry.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api = Api::<Event>::namespaced(self.client.clone(), &namespace);
        let uid = entry.about.uid.clone().unwrap_or_default();
        let path = entry.about.field_path.clone().unwrap_or_default();
        let same = (uid, path, entry.reason, entry.message.clone());
        if let Some((name, count)) = self.known.get_mut(&same) {
            let patch = json!({"count": *count + 1, "lastTimestamp": meta::time::seconds(now)});
            *count += 1;
            let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
            match patched {
                // It lives for an hour only: then it is a new one.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(|_| ()),
            }
        }
        let event = self.event(entry, &namespace, now);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(same, (name, 1));
        Ok(())
    }

    fn event(&self, entry: Entry, namespace: &str, now: Timestamp) -> Event {
        let name = format!("{}.{:x}", entry.about.name.as_deref().unwrap_or(""), now.as_nanosecond());
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() },
            involved_object: entry.about,
            reason: Some(entry.reason.to_owned()),
            message: Some(entry.message),
            type_: Some(format!("{:?}", entry.kind)),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some(self.node.clone()) }),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: Some(self.node.clone()),
            ..Event::default()
        }
    }
}
