//! Events about pods, their containers, and the node.

use std::collections::BTreeMap;

use client::events::{Form, Note, Recorder as Writer, Regarding};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::Client;

use crate::spec;

/// Records events in the kubelet's name. Never waits: what is too much is dropped.
#[derive(Clone)]
pub struct Recorder(Writer);

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it should be.
    Normal,
    /// Not as it should be.
    Warning,
}

impl Recorder {
    /// Starts the writer; it ends with the last recorder.
    pub fn start(client: Client, node: &str) -> Self {
        Recorder(Writer::new(client, "kubelet", node, Form::Core))
    }

    /// An event about a pod.
    pub fn pod(&self, pod: &Pod, kind: Kind, reason: impl Into<String>, message: impl Into<String>) {
        self.send(pod.regarding(), kind, reason.into(), message.into());
    }

    /// The same, with annotations for machines.
    pub fn annotated(
        &self, pod: &Pod, kind: Kind, reason: impl Into<String>, message: impl Into<String>, notes: Vec<(String, String)>,
    ) {
        self.record(pod.regarding(), kind, reason.into(), message.into(), notes.into_iter().collect());
    }

    /// An event about one container of a pod.
    pub fn container(&self, pod: &Pod, name: &str, kind: Kind, reason: impl Into<String>, message: impl Into<String>) {
        let list = if spec::init_containers(pod).iter().any(|c| c.name == name) {
            "initContainers"
        } else if spec::of(pod).containers.iter().any(|c| c.name == name) {
            "containers"
        } else {
            "ephemeralContainers"
        };
        let field_path = Some(format!("spec.{list}{{{name}}}"));
        self.send(ObjectReference { field_path, ..pod.regarding() }, kind, reason.into(), message.into());
    }

    /// An event about the node.
    pub fn node(&self, node: &str, kind: Kind, reason: impl Into<String>, message: impl Into<String>) {
        let about = ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            uid: Some(node.to_owned()),
            ..ObjectReference::default()
        };
        self.send(about, kind, reason.into(), message.into());
    }

    fn send(&self, regarding: ObjectReference, kind: Kind, reason: String, message: String) {
        self.record(regarding, kind, reason, message, BTreeMap::new());
    }

    fn record(
        &self, regarding: ObjectReference, kind: Kind, reason: String, message: String,
        annotations: BTreeMap<String, String>,
    ) {
        let type_ = match kind {
            Kind::Normal => "Normal",
            Kind::Warning => "Warning",
        };
        let (related, action, at) = (None, String::new(), Timestamp::now());
        self.0.record(Note { regarding, related, type_, reason, action, message, at, annotations });
    }
}
