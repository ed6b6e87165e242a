//! What is known of sizes: from the expression, then from the caller, then from the type.

use super::walk::{Arg, Entries, Walk};
use super::{Node, Range};
use crate::ast::{Id, Kind, Literal};

impl Walk<'_> {
    pub(super) fn arg(&mut self, id: Id) -> Arg {
        let path = self.path(id);
        // What is gathered in a loop is no way from a variable.
        let gathered = path.first().is_none_or(|first| first == crate::parse::ACCUMULATOR || first == crate::parse::OLD_ACCUMULATOR);
        Arg {
            id: Some(id),
            path: (!gathered).then_some(path),
            of: self.checked.type_of(id).clone(),
            size: self.size(id),
        }
    }

    pub(super) fn size_or_unknown(&mut self, id: Id) -> Range {
        self.size(id).unwrap_or(Range::UNKNOWN)
    }

    pub(super) fn size(&mut self, id: Id) -> Option<Range> {
        if let Some(size) = self.sizes.get(&id) {
            return Some(*size);
        }
        let kind = self.checked.ast.kind(id);
        let written = match kind {
            Kind::Literal(Literal::String(text)) => Some(text.chars().count()),
            Kind::Literal(Literal::Bytes(bytes)) => Some(bytes.len()),
            Kind::Literal(_) => Some(1),
            Kind::List { items, .. } => Some(items.len()),
            Kind::Map(entries) => Some(entries.len()),
            _ => None,
        };
        if let Some(written) = written {
            return Some(Range::fixed(written as u64));
        }
        let path = self.path(id);
        let of = self.checked.type_of(id);
        if let Some(size) = self.known.size(&Node { path: (!path.is_empty()).then_some(&path[..]), of }) {
            self.sizes.insert(id, size);
            return Some(size);
        }
        if of.is_scalar() {
            return Some(Range::fixed(1));
        }
        match kind {
            Kind::Ident(name) => self.local(name).and_then(|local| local.size),
            _ => None,
        }
    }

    pub(super) fn entries_of(&self, id: Id) -> Option<Entries> {
        if let Some(entries) = self.entries.get(&id) {
            return Some(*entries);
        }
        match self.checked.ast.kind(id) {
            Kind::Ident(name) => self.local(name).and_then(|local| local.entries),
            _ => None,
        }
    }

    pub(super) fn set_entries(&mut self, id: Id, entries: Entries) {
        self.entries.insert(id, entries);
    }
}
