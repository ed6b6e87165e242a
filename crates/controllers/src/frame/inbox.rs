//! The inbox of a controller: changes that wait to be routed.

use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use client::{Change, Kind};
use meta::Key;
use tokio::sync::Notify;

use crate::owners;

/// Changes that may wait; when there are more, all are forgotten and every key is looked at.
const CAPACITY: usize = 8192;

/// A change of an object of any kind.
pub struct Seen {
    id: TypeId,
    old: Option<Arc<dyn Any + Send + Sync>>,
    new: Option<Arc<dyn Any + Send + Sync>>,
}

impl Seen {
    /// Forgets the type.
    pub fn new<K: Kind>(change: &Change<K>) -> Self {
        let erase = |side: &Option<Arc<K>>| side.clone().map(|object| object as Arc<dyn Any + Send + Sync>);
        Seen { id: TypeId::of::<K>(), old: erase(&change.old), new: erase(&change.new) }
    }

    /// Whether it is of this kind.
    pub fn is<K: Kind>(&self) -> bool {
        self.id == TypeId::of::<K>()
    }

    /// The object before, if it is of this kind.
    pub fn old<K: Kind>(&self) -> Option<&K> {
        self.old.as_ref().and_then(|any| any.downcast_ref())
    }

    /// The object after, if it is of this kind.
    pub fn new_as<K: Kind>(&self) -> Option<&K> {
        self.new.as_ref().and_then(|any| any.downcast_ref())
    }

    /// Before and after, as far as there are.
    pub fn sides<K: Kind>(&self) -> impl Iterator<Item = &K> {
        self.old::<K>().into_iter().chain(self.new_as::<K>())
    }

    /// The key of the object, if it is of this kind.
    pub fn key<K: Kind>(&self) -> Option<Key> {
        self.new_as::<K>().or(self.old::<K>()).map(client::informer::key_of)
    }

    /// The keys of the controllers of this kind `O` that an object of kind `K` has or had.
    pub fn controllers<K: Kind, O: Kind>(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        for object in self.sides::<K>() {
            let Some(owner) = owners::controller(object.meta()) else { continue };
            let key = Key::new(object.meta().namespace.as_deref().unwrap_or(""), &owner.name);
            if owner.kind == O::kind(&()) && owner.api_version == O::api_version(&()) && !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

#[derive(Default)]
struct State {
    changes: VecDeque<Seen>,
    overflowed: bool,
    progressed: bool,
}

/// What came since the last look.
pub struct Taken {
    /// The changes, in order per kind.
    pub changes: VecDeque<Seen>,
    /// Whether changes were forgotten, so that every key must be looked at.
    pub overflowed: bool,
    /// Whether a stream went forward.
    pub progressed: bool,
}

/// Between the informers' handlers and the controller. Never blocks.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    notify: Notify,
}

impl Inbox {
    /// Adds a change.
    pub fn push(&self, seen: Seen) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.changes.len() >= CAPACITY {
            state.overflowed = true;
            state.changes = VecDeque::new();
        }
        if !state.overflowed {
            state.changes.push_back(seen);
        }
        drop(state);
        self.notify.notify_one();
    }

    /// Notes that a stream went forward.
    pub fn progressed(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !std::mem::replace(&mut state.progressed, true);
        drop(state);
        if first {
            self.notify.notify_one();
        }
    }

    /// Takes what there is.
    pub fn take(&self) -> Taken {
        let state = std::mem::take(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner));
        Taken { changes: state.changes, overflowed: state.overflowed, progressed: state.progressed }
    }

    /// Waits until there may be something.
    pub async fn ready(&self) {
        self.notify.notified().await;
    }
}
