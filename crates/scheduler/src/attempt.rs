//! An attempt to schedule a pod: what was decided, and how it ended.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use meta::Key;

use crate::cycle::Decision;
use crate::snapshot::PodInfo;

/// What has to be written of a pod's nomination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nomination {
    /// Nothing.
    AsItIs,
    /// That there is none.
    Nowhere,
    /// That it is for this node.
    Node(Arc<str>),
}

/// A pod upon which was decided; to be carried out.
pub(crate) struct Attempt {
    /// The pod's name.
    pub(crate) key: Key,
    /// The pod.
    pub(crate) pod: Arc<PodInfo>,
    /// When it was decided.
    pub(crate) at: Instant,
    /// What is to be done.
    pub(crate) decision: Decision,
    /// What is to be written of its nomination.
    pub(crate) nomination: Nomination,
    /// Pods of a lower priority that are no longer nominated for its node.
    pub(crate) displaced: Vec<Arc<Pod>>,
}

/// How the writes of an attempt ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It could not be carried out, or nobody knows.
    Failed,
    /// It is written.
    Written,
    /// The victims were told to go, and are like this now.
    Told(Vec<Pod>),
}
