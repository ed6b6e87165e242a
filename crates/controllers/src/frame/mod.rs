//! The frame: everything that controllers have in common, once.
//!
//! A controller says what it watches, which keys a change concerns, and what to do about a key. The
//! frame queues and coalesces keys, backs off, carries plans out, records events, counts, catches
//! panics, and keeps a key still until the streams show what its last plan wrote.

pub mod api;
pub mod clock;
pub mod drive;
pub mod execute;
pub mod inbox;
pub mod live;
pub mod metrics;
pub mod plan;
pub mod queue;
pub mod world;

use jiff::Timestamp;
use meta::Key;

pub use inbox::Seen;
pub use plan::{Failure, Op, Plan, Report, Step, Type};
pub use world::{Watch, World};

/// A right that a controller needs, as in an RBAC rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Resource or resource/subresource.
    pub resource: &'static str,
    /// Verbs beyond those that its watches imply.
    pub verbs: &'static [&'static str],
}

/// What a controller is called, reads and may do.
pub struct Profile {
    /// Upstream's name, for example `replicaset-controller`: in events, logs and metrics.
    pub name: &'static str,
    /// Its ServiceAccount in `kube-system`, under which it writes.
    pub account: &'static str,
    /// The kinds that it reads: the streams that feed it.
    pub watches: Vec<Watch>,
    /// What it writes.
    pub permissions: &'static [Permission],
}

/// A controller: pure and synchronous.
pub trait Controller: Send + Sync + 'static {
    /// Name, watches, permissions.
    fn profile(&self) -> Profile;

    /// The keys that a change concerns.
    fn route(&self, seen: &Seen, world: &World) -> Vec<Key>;

    /// All keys there are, for when too many changes came at once to route each.
    fn keys(&self, world: &World) -> Vec<Key>;

    /// What to do about a key. Called again for every change that concerns it, and at
    /// [`Plan::revisit`]; an empty plan means that all is as it should be.
    fn reconcile(&self, key: &Key, world: &World, now: Timestamp) -> Plan;
}
