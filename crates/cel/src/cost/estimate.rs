//! What callers know of sizes.

use super::Range;
use crate::types::Type;

/// A value whose size is asked for.
pub struct Node<'n> {
    /// The way to it from a variable: names of fields, `@items`, `@indices`, `@keys`, `@values`; none if it was computed.
    pub path: Option<&'n [String]>,
    /// Its type.
    pub of: &'n Type,
}

/// Sizes that schemas allow.
pub trait Sizes {
    /// Characters of a text, bytes, items, entries; none if nothing is known.
    fn size(&self, node: &Node<'_>) -> Option<Range>;
}

/// Nothing is known.
pub struct Unknown;

impl Sizes for Unknown {
    fn size(&self, _: &Node<'_>) -> Option<Range> {
        None
    }
}
