//! Who hears of which changes: a change costs what its audience costs.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use meta::{Encoded, Key};
use tokio::sync::mpsc;

use super::Cache;
use super::change::Change;

/// A part of the objects that a watcher is interested in. It may hear of more than it selects, never of less.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Audience {
    All,
    Namespace(Arc<str>),
    Object(Key),
    /// Objects whose `spec.nodeName` is or was this.
    Node(Box<str>),
}

/// A watcher's number, and where its changes go.
type Member = (u64, mpsc::Sender<Arc<Change>>);

/// All watchers of a cache.
#[derive(Default)]
pub(super) struct Audiences {
    next: u64,
    members: HashMap<Audience, Vec<Member>>,
    nodes: usize,
}

impl Audiences {
    pub fn join(&mut self, audience: Audience, sender: mpsc::Sender<Arc<Change>>) -> u64 {
        self.next += 1;
        self.nodes += usize::from(matches!(audience, Audience::Node(_)));
        self.members.entry(audience).or_default().push((self.next, sender));
        self.next
    }

    /// Whether anybody watches.
    pub fn any(&self) -> bool {
        !self.members.is_empty()
    }

    pub fn leave(&mut self, audience: &Audience, id: u64) {
        let Some(members) = self.members.get_mut(audience) else { return };
        let before = members.len();
        members.retain(|(member, _)| *member != id);
        if members.len() < before && matches!(audience, Audience::Node(_)) {
            self.nodes -= 1;
        }
        if members.is_empty() {
            self.members.remove(audience);
        }
    }

    /// Offers a change to everyone whom it may concern. `node` finds an object's node, if such objects have one.
    pub fn tell(&mut self, change: &Arc<Change>, node: impl Fn(&Encoded) -> Option<Box<str>>) {
        if self.members.is_empty() {
            return;
        }
        self.offer(&Audience::All, change);
        let key = change.key();
        if !key.namespace.is_empty() {
            self.offer(&Audience::Namespace(key.namespace.clone()), change);
        }
        self.offer(&Audience::Object(key.clone()), change);
        if self.nodes > 0 {
            let was = change.old.as_deref().and_then(&node).unwrap_or_default();
            let is = change.new.as_deref().and_then(&node).unwrap_or_default();
            let moved = (was != is).then_some(was);
            self.offer(&Audience::Node(is), change);
            if let Some(was) = moved {
                self.offer(&Audience::Node(was), change);
            }
        }
    }

    /// A member that cannot take it is disconnected.
    fn offer(&mut self, audience: &Audience, change: &Arc<Change>) {
        let Some(members) = self.members.get_mut(audience) else { return };
        let before = members.len();
        members.retain(|(_, sender)| sender.try_send(change.clone()).is_ok());
        if matches!(audience, Audience::Node(_)) {
            self.nodes -= before - members.len();
        }
        if members.is_empty() {
            self.members.remove(audience);
        }
    }
}

/// A watcher's place in an audience. Leaves it when dropped.
pub(crate) struct Seat {
    cache: Weak<Cache>,
    audience: Audience,
    id: u64,
}

impl Seat {
    pub(super) fn new(cache: Weak<Cache>, audience: Audience, id: u64) -> Self {
        Seat { cache, audience, id }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.upgrade() {
            cache.leave(&self.audience, self.id);
        }
    }
}
