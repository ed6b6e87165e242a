//! One change of one object.

use std::sync::{Arc, OnceLock};

use meta::{Encoded, Key};

/// One change; at least one side is present.
pub(crate) struct Change {
    pub revision: u64,
    pub old: Option<Arc<Encoded>>,
    pub new: Option<Arc<Encoded>>,
    gone: OnceLock<Arc<Encoded>>,
}

impl Change {
    pub fn new(revision: u64, old: Option<Arc<Encoded>>, new: Option<Arc<Encoded>>) -> Self {
        Change { revision, old, new, gone: OnceLock::new() }
    }

    pub fn key(&self) -> &Key {
        let any = self.old.as_ref().or(self.new.as_ref());
        &any.unwrap_or_else(|| unreachable!("a change has a side")).key
    }

    /// The last state with the revision of this change: what those see for whom the object is gone.
    pub fn gone(&self) -> Option<&Arc<Encoded>> {
        let old = self.old.as_ref()?;
        Some(self.gone.get_or_init(|| {
            old.at(self.revision)
        }))
    }

    /// Bytes that only this change keeps alive.
    pub fn weight(&self) -> usize {
        self.old.as_ref().map_or(0, |old| old.stored().len())
    }
}
