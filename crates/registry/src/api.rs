//! What callers (the server's verbs) ask of the registry, as values.

use bytes::Bytes;
use std::sync::Arc;

use futures::stream::BoxStream;
use jiff::Timestamp;
use kinds::Context;
use meta::selector::{Fields, Labels};
use meta::{Attributes, Encoded, Object, Status};
use serde_json::Value;

/// What a writing request carries besides its body.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asks for what; names the resource, namespace, name and subresource.
    pub attributes: Attributes,
    /// `dryRun=All`: everything but the commit.
    pub dry_run: bool,
    /// What to do about unknown and duplicate fields in a patch.
    pub field_validation: FieldValidation,
    /// `fieldManager`, or the first part of the user agent.
    pub field_manager: String,
}

impl Call {
    /// The request as far as kinds know it, now.
    pub(crate) fn context(&self) -> Context {
        Context { user: self.attributes.user.clone(), now: Timestamp::now(), dry_run: self.dry_run }
    }
}

/// `fieldValidation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Drop silently.
    Ignore,
    /// Drop, and warn the client.
    #[default]
    Warn,
    /// Refuse.
    Strict,
}

/// The result of a create, update or patch.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as stored (or as it would be, in a dry run).
    pub object: Arc<Encoded>,
    /// Whether it is new: 201 instead of 200.
    pub created: bool,
    /// For `Warning` headers.
    pub warnings: Vec<String>,
}

/// Which objects a list or watch is about.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Label selector.
    pub labels: Labels,
    /// Field selector (`metadata.name` of a single-object watch included).
    pub fields: Fields,
}

/// `resourceVersionMatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum VersionMatch {
    NotOlderThan,
    Exact,
}

/// How to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// At most so many items; 0 for all.
    pub limit: usize,
    /// Token of the next page, as handed out before.
    pub continue_token: String,
    /// `resourceVersion` as given; empty for the newest.
    pub resource_version: String,
    /// `resourceVersionMatch`.
    pub version_match: Option<VersionMatch>,
}

/// One page.
#[derive(Clone, Debug)]
pub struct List {
    /// Items in key order.
    pub items: Vec<Arc<Encoded>>,
    /// The revision it shows.
    pub revision: u64,
    /// Token of the next page; empty on the last one.
    pub continue_token: String,
    /// Items after this page, when known (no selector).
    pub remaining: Option<u64>,
}

/// How to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// `resourceVersion` as given: events after it; empty or `0`: current objects first, as ADDED.
    pub resource_version: String,
    /// Send bookmarks about once a minute.
    pub bookmarks: bool,
    /// `sendInitialEvents=true`: current objects, then a bookmark with
    /// `k8s.io/initial-events-end`, then changes.
    pub send_initial_events: bool,
    /// `sendInitialEvents=false`: without a revision, changes from now on.
    pub changes_only: bool,
    /// The watch ends by itself after this time, with a last bookmark when bookmarks are wanted.
    /// `None`: it ends when its reader drops it.
    pub timeout: Option<std::time::Duration>,
}

/// One frame of a watch.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// It exists now, or is selected now.
    Added(Arc<Encoded>),
    /// It changed.
    Modified(Arc<Encoded>),
    /// It is gone, or no longer selected: its last state, with the revision of the change.
    Deleted(Arc<Encoded>),
    /// Everything up to this revision was sent; `initial_end` marks the end of the initial events.
    Bookmark {
        /// The revision.
        revision: u64,
        /// Carries the annotation `k8s.io/initial-events-end: "true"`.
        initial_end: bool,
    },
    /// The watch ends with this.
    Error(Status),
}

/// Frames in order.
pub type WatchStream = BoxStream<'static, WatchEvent>;

/// A patch in one of its four languages.
#[derive(Clone, Debug)]
pub enum Patch {
    /// `application/json-patch+json`.
    Json(Value),
    /// `application/merge-patch+json`.
    Merge(Value),
    /// `application/strategic-merge-patch+json`.
    Strategic(Value),
    /// `application/apply-patch+yaml`.
    Apply {
        /// The applied configuration.
        configuration: Object,
        /// Take over fields that others own.
        force: bool,
    },
}

/// A patch and what is known of its text.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What it says.
    pub patch: Patch,
    /// As it was written: refusals show it.
    pub text: Bytes,
    /// What upstream says of fields that it has twice.
    pub duplicates: Vec<String>,
}

impl From<Patch> for Sent {
    fn from(patch: Patch) -> Self {
        let text = match &patch {
            Patch::Json(tree) | Patch::Merge(tree) | Patch::Strategic(tree) => tree.to_string().into(),
            Patch::Apply { .. } => Bytes::new(),
        };
        Sent { patch, text, duplicates: Vec::new() }
    }
}

/// `propagationPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say it")]
pub enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// `gracePeriodSeconds`.
    pub grace_period: Option<i64>,
    /// `propagationPolicy`, or what `orphanDependents` says.
    pub propagation: Option<Propagation>,
    /// Precondition.
    pub uid: Option<String>,
    /// Precondition.
    pub resource_version: Option<String>,
}

/// The result of a delete.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// The object as it was last, or as it is now when it is only marked for deletion.
    pub object: Arc<Encoded>,
    /// Whether it is gone (`Status` Success is answered then) or waits for its grace period or finalizers.
    pub gone: bool,
}
