//! A committed object in its wire form, made once and shared by everybody.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::names::Key;

/// The JSON bytes of a committed object together with what readers filter by.
/// Immutable; cloned by reference count.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Namespace and name.
    pub key: Key,
    /// Revision of the write that made these bytes; equals `metadata.resourceVersion` in them.
    pub revision: u64,
    /// The object as JSON, in schema order, without a trailing newline.
    pub json: Bytes,
    facts: OnceLock<Box<Facts>>,
}

/// What selectors ask about an object, in a compact form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Labels.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// The kind's selectable fields beyond name and namespace.
    pub fields: Box<[(&'static str, Box<str>)]>,
}

impl Encoded {
    /// Wraps bytes.
    pub fn new(key: Key, revision: u64, json: Bytes) -> Self {
        Encoded { key, revision, json, facts: OnceLock::new() }
    }

    /// The facts; `read` finds them out of the bytes when they are asked for the first time. They are
    /// kept, so that an object which no selector ever looks at costs nothing.
    pub fn facts(&self, read: impl FnOnce(&[u8]) -> Facts) -> &Facts {
        self.facts.get_or_init(|| Box::new(read(&self.json)))
    }
}

impl Facts {
    /// One label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| **k == *key).map(|(_, v)| &**v)
    }

    /// One field's value; empty when the kind has no such selectable field.
    pub fn field(&self, path: &str) -> &str {
        self.fields.iter().find(|(f, _)| *f == path).map_or("", |(_, v)| v)
    }
}
