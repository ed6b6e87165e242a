//! What an object may hold exclusively: cluster IPs, node ports. One file each, and one list.
//!
//! A reservation is taken before the object is checked, as upstream does it, and given back when the commit does
//! not happen, when the object gives it up, and when the object is gone.

mod addresses;
mod cluster_ip;
mod node_port;
mod pool;
mod service_cidr;

use std::sync::Arc;

use kinds::Descriptor;
use meta::field::Errors;
use meta::{Object, Reason, Status};

use crate::registry::Config;

/// One sort of thing that objects hold exclusively.
pub trait Reservation: Send + Sync + 'static {
    /// Whether objects of the kind can hold it.
    fn concerns(&self, kind: &Descriptor) -> bool;

    /// Counts what a stored object holds: called once an object at start.
    fn adopt(&self, object: &Object);

    /// Takes what the new object asks for and fills in what it leaves to the server. With `old`, what both
    /// have is kept. Returns how to undo it. A dry run takes nothing, and looks less closely.
    fn take(&self, new: &mut Object, old: Option<&Object>, dry_run: bool) -> Result<Taken, Refusal>;

    /// What `old` held and `new` (if there is one) does not any more: given back after the commit.
    fn release(&self, old: &Object, new: Option<&Object>);

    /// A commit has made this state of an object.
    fn kept(&self, _new: &Object) {}
}

/// Why an object does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It asks for what it cannot have.
    #[error("{}", list(.0))]
    Invalid(Errors),
    /// There is nothing left.
    #[error("{0}")]
    Full(String),
    /// It asks for one thing twice.
    #[error("{0}")]
    Twice(String),
}

fn list(errors: &Errors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    fn status(self, kind: &Descriptor, name: &str) -> Status {
        match self {
            Refusal::Invalid(errors) => Status::invalid(&kind.gvk.group, &kind.gvk.kind, name, &errors),
            Refusal::Full(why) => Status::internal(why),
            Refusal::Twice(why) => Status::new(Reason::Unknown, why),
        }
    }
}

/// What was taken for an object that is not committed yet. Dropping it gives it back.
#[must_use]
pub struct Taken(Option<Box<dyn FnOnce() + Send>>);

impl Taken {
    /// Nothing was taken.
    pub fn nothing() -> Self {
        Taken(None)
    }

    /// `undo` gives it back.
    pub fn new(undo: impl FnOnce() + Send + 'static) -> Self {
        Taken(Some(Box::new(undo)))
    }

    /// The commit happened: the object holds it now.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(undo) = self.0.take() {
            undo();
        }
    }
}

/// Every sort.
pub fn all(config: &Config) -> Vec<Arc<dyn Reservation>> {
    let addresses = Arc::new(addresses::Addresses::new(config.service_cidr));
    vec![
        Arc::new(cluster_ip::ClusterIps(addresses.clone())),
        Arc::new(service_cidr::ServiceCidrs(addresses)),
        Arc::new(node_port::NodePorts::new(config.node_ports.clone())),
    ]
}

/// Takes all that a new state of an object needs.
pub(crate) fn take(
    all: &[Arc<dyn Reservation>],
    kind: &Descriptor,
    new: &mut Object,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<Vec<Taken>, Status> {
    let mut taken = Vec::new();
    for one in all.iter().filter(|one| one.concerns(kind)) {
        taken.push(one.take(new, old, dry_run).map_err(|refusal| refusal.status(kind, new.name()))?);
    }
    Ok(taken)
}

/// What follows from a commit for those who hold something: it is kept, and what is held no longer given back, if it
/// happens; what was taken for it is given back if it does not.
pub(crate) struct Settlement {
    all: Vec<Arc<dyn Reservation>>,
    taken: Vec<Taken>,
    old: Option<Object>,
    new: Option<Object>,
}

impl Settlement {
    /// Of a commit that makes `new` (`None`: nothing) out of `old`. `None`: objects of the kind hold nothing.
    pub fn new(
        all: &[Arc<dyn Reservation>],
        kind: &Descriptor,
        taken: Vec<Taken>,
        old: Option<&Object>,
        new: Option<&Object>,
    ) -> Option<Self> {
        let all: Vec<_> = all.iter().filter(|one| one.concerns(kind)).cloned().collect();
        let some = !all.is_empty();
        some.then(|| Settlement { all, taken, old: old.cloned(), new: new.cloned() })
    }

    /// The commit happened.
    pub fn settle(self) {
        let Settlement { all, taken, old, new } = self;
        // What a removed object asked for last is given back with the rest.
        if new.is_some() {
            taken.into_iter().for_each(Taken::keep);
        }
        if let Some(old) = old {
            all.iter().for_each(|one| one.release(&old, new.as_ref()));
        }
        if let Some(new) = new {
            all.iter().for_each(|one| one.kept(&new));
        }
    }
}
