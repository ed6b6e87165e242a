//! Indexes: which objects have a given value (owner, node, …), kept beside an informer's objects.

use std::sync::Arc;

use imbl::OrdSet;
use meta::Key;

/// Computes the values under which an object is found.
pub type Values<K> = fn(&K) -> Vec<String>;

/// The entries of one index: (value, key), ordered. Cloning is cheap.
pub type Entries = OrdSet<(Arc<str>, Key)>;

/// The name of the index over the uids in `metadata.ownerReferences`; every informer has it.
pub const OWNER: &str = "owner";

pub(crate) struct Index<K> {
    pub(crate) name: &'static str,
    pub(crate) values: Values<K>,
    pub(crate) entries: Entries,
}

impl<K> Index<K> {
    pub(crate) fn new(name: &'static str, values: Values<K>) -> Self {
        Index { name, values, entries: OrdSet::new() }
    }

    /// Moves an object's entries from what it was to what it is.
    pub(crate) fn moved(&mut self, key: &Key, old: Option<&K>, new: Option<&K>) {
        let before = old.map(self.values).unwrap_or_default();
        let after = new.map(self.values).unwrap_or_default();
        if before == after {
            return;
        }
        for value in before {
            self.entries.remove(&(value.into(), key.clone()));
        }
        for value in after {
            self.entries.insert((value.into(), key.clone()));
        }
    }
}

/// The keys that an index has under a value.
pub fn keys<'a>(entries: &'a Entries, value: &str) -> impl Iterator<Item = &'a Key> + use<'a> {
    let wanted: Arc<str> = value.into();
    let from = (wanted.clone(), Key::new("", ""));
    entries.range(from..).take_while(move |(v, _)| *v == wanted).map(|(_, key)| key)
}
