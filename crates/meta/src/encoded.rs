//! A committed object in its wire form, made once and shared by everybody.

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
}
