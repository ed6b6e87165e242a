//! Plans: what a controller wants done, as data.

use std::any::TypeId;

use client::{Kind, Regarding};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use meta::Key;
use serde::Serialize;
use serde_json::{Value, json};

/// A resource type, so that steps need no type parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// The Rust type: names the stream that shows what was written.
    pub id: TypeId,
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Lower-case plural.
    pub plural: String,
}

impl Type {
    /// The type of a kind.
    pub fn of<K: Kind>() -> Self {
        Type {
            id: TypeId::of::<K>(),
            group: K::group(&()).into_owned(),
            version: K::version(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
            plural: K::plural(&()).into_owned(),
        }
    }

    /// The path of an object, or of the collection if the name is empty.
    pub fn path(&self, key: &Key) -> String {
        let mut path = match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        if !key.namespace.is_empty() {
            path += &format!("/namespaces/{}", key.namespace);
        }
        path += &format!("/{}", self.plural);
        if !key.name.is_empty() {
            path += &format!("/{}", key.name);
        }
        path
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Creates the object.
    Create(Value),
    /// Replaces the object, if its resourceVersion is still the one given.
    Update(Value),
    /// Replaces the status, and the metadata as far as the kind's rules let it.
    UpdateStatus(Value),
    /// Strategic merge patch, of the status subresource or of the object.
    Patch {
        /// The patch.
        body: Value,
        /// Whether it goes to the status subresource.
        status: bool,
    },
    /// Adds a controller reference, after a look at the live owner (it must not be on its way out).
    Adopt {
        /// Type of the owner.
        owner: Type,
        /// Name of the owner, in the namespace of the object.
        owner_name: String,
        /// Uid of the owner.
        owner_uid: String,
        /// Uid of the object.
        uid: String,
    },
    /// Takes the references to this owner away.
    Release {
        /// Uid of the owner.
        owner_uid: String,
        /// Uid of the object.
        uid: String,
    },
    /// Deletes the object with this uid.
    Delete {
        /// Uid, a precondition.
        uid: String,
        /// Grace period in seconds, if other than the object's own.
        grace: Option<i64>,
    },
}

/// An event to record.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What it is about.
    pub about: ObjectReference,
    /// `Normal` or `Warning`.
    pub type_: &'static str,
    /// Reason.
    pub reason: &'static str,
    /// Text; `{}` stands for the name of the object written, or for the error.
    pub text: String,
}

impl Report {
    /// A `Normal` event.
    pub fn normal(about: &impl Regarding, reason: &'static str, text: impl Into<String>) -> Self {
        Report { about: about.regarding(), type_: "Normal", reason, text: text.into() }
    }

    /// A `Warning` event.
    pub fn warning(about: &impl Regarding, reason: &'static str, text: impl Into<String>) -> Self {
        Report { type_: "Warning", ..Report::normal(about, reason, text) }
    }
}

/// One write, and what to report of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Type of the object.
    pub target: Type,
    /// Its key; the name is empty if the server is to choose it.
    pub key: Key,
    /// What to do.
    pub op: Op,
    /// Reported when done.
    pub done: Option<Report>,
    /// Reported when refused; not for conflicts, which are nobody's fault.
    pub refused: Option<Report>,
}

impl Step {
    fn new<K: Kind>(key: Key, op: Op) -> Self {
        Step { target: Type::of::<K>(), key, op, done: None, refused: None }
    }

    /// Creates an object.
    pub fn create<K: Kind + Serialize>(object: &K) -> Self {
        Step::new::<K>(client::informer::key_of(object), Op::Create(value(object)))
    }

    /// Replaces an object.
    pub fn update<K: Kind + Serialize>(object: &K) -> Self {
        Step::new::<K>(client::informer::key_of(object), Op::Update(value(object)))
    }

    /// Replaces an object's status.
    pub fn update_status<K: Kind + Serialize>(object: &K) -> Self {
        Step::new::<K>(client::informer::key_of(object), Op::UpdateStatus(value(object)))
    }

    /// Patches an object; the patch holds only if the object is still the one with this uid.
    pub fn patch<K: Kind>(object: &K, mut body: Value, status: bool) -> Self {
        body["metadata"]["uid"] = json!(object.meta().uid);
        Step::new::<K>(client::informer::key_of(object), Op::Patch { body, status })
    }

    /// Makes `owner` the controller of `object`.
    pub fn adopt<K: Kind, O: Kind>(object: &K, owner: &O) -> Self {
        let text = |s: &Option<String>| s.clone().unwrap_or_default();
        let op = Op::Adopt {
            owner: Type::of::<O>(),
            owner_name: text(&owner.meta().name),
            owner_uid: text(&owner.meta().uid),
            uid: text(&object.meta().uid),
        };
        Step::new::<K>(client::informer::key_of(object), op)
    }

    /// Makes `object` an orphan of the owner with this uid.
    pub fn release<K: Kind>(object: &K, owner_uid: &str) -> Self {
        let op = Op::Release { owner_uid: owner_uid.to_owned(), uid: object.meta().uid.clone().unwrap_or_default() };
        Step::new::<K>(client::informer::key_of(object), op)
    }

    /// Deletes an object, in the background as is the default.
    pub fn delete<K: Kind>(object: &K) -> Self {
        let op = Op::Delete { uid: object.meta().uid.clone().unwrap_or_default(), grace: None };
        Step::new::<K>(client::informer::key_of(object), op)
    }

    /// Deletes an object with no grace period.
    pub fn delete_now<K: Kind>(object: &K) -> Self {
        let op = Op::Delete { uid: object.meta().uid.clone().unwrap_or_default(), grace: Some(0) };
        Step::new::<K>(client::informer::key_of(object), op)
    }

    /// What RBAC must allow for it: group, resource or resource/subresource, verb.
    pub fn permission(&self) -> (&str, String, &'static str) {
        let (resource, verb) = match &self.op {
            Op::Create(_) => (self.target.plural.clone(), "create"),
            Op::Update(_) => (self.target.plural.clone(), "update"),
            Op::UpdateStatus(_) => (format!("{}/status", self.target.plural), "update"),
            Op::Patch { status: true, .. } => (format!("{}/status", self.target.plural), "patch"),
            Op::Patch { .. } | Op::Adopt { .. } | Op::Release { .. } => (self.target.plural.clone(), "patch"),
            Op::Delete { .. } => (self.target.plural.clone(), "delete"),
        };
        (&self.target.group, resource, verb)
    }

    /// Adds the event for success.
    pub fn done(mut self, report: Report) -> Self {
        self.done = Some(report);
        self
    }

    /// Adds the event for refusal.
    pub fn refused(mut self, report: Report) -> Self {
        self.refused = Some(report);
        self
    }
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_else(|_| unreachable!("typed objects have string keys"))
}

/// What to do about one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Done in order up to the first failure; neighbouring creates by slow start, neighbouring deletes
    /// at once.
    pub steps: Vec<Step>,
    /// Done after the steps, also when one of them failed: statuses.
    pub finally: Vec<Step>,
    /// Events without a write.
    pub reports: Vec<Report>,
    /// When to look at the key again without a change.
    pub revisit: Option<Timestamp>,
}

impl Plan {
    /// Nothing to do, until a change.
    pub fn nothing() -> Self {
        Plan::default()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.finally.is_empty() && self.reports.is_empty()
    }

    /// Adds a step.
    pub fn step(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Asks to be called again at this time, or earlier if it did already.
    pub fn revisit_at(&mut self, at: Timestamp) {
        self.revisit = Some(self.revisit.map_or(at, |r| r.min(at)));
    }
}

/// Why a step was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{verb} {resource} {key}: {message}")]
pub struct Failure {
    /// `create`, `update`, …
    pub verb: &'static str,
    /// Lower-case plural.
    pub resource: String,
    /// The object.
    pub key: Key,
    /// The API's reason (`AlreadyExists`, …); empty if there was no answer.
    pub reason: String,
    /// The API's message.
    pub message: String,
    /// Whether the namespace is being deleted, so that creating in it is pointless.
    pub terminating: bool,
}

impl Failure {
    /// Whether the object changed under the plan: look again, soon.
    pub fn is_conflict(&self) -> bool {
        self.reason == "Conflict"
    }
}
