//! Checks that several kinds share, with upstream's messages and order.

pub mod ip;
pub mod metadata;
pub mod resources;
pub mod selector;
pub mod taint;

use meta::field::{Error, Errors};
use meta::{Object, text};

use crate::tree;
use crate::view::View;

pub use metadata::{metadata, metadata_update};

/// What upstream says of a field that may not change.
pub const IMMUTABLE: &str = "field is immutable";

/// The field at a path must be as it was.
pub fn immutable(new: &View<'_>, old: &View<'_>, errors: &mut Errors) {
    if !tree::same(new.value(), old.value()) {
        let value = new.value().cloned().unwrap_or_default();
        errors.push(Error::invalid(&new.path, value, IMMUTABLE));
    }
}

/// The fields of these names, at the root, must be as they were.
pub fn immutable_fields(new: &Object, old: &Object, names: &[&str], errors: &mut Errors) {
    for name in names {
        immutable(&View::of(new, name), &View::of(old, name), errors);
    }
}

/// A DNS label.
pub fn dns_label(field: &View<'_>, errors: &mut Errors) {
    field.all_invalid(text::dns1123_label(field.str(), false), errors);
}

/// A DNS subdomain.
pub fn dns_subdomain(field: &View<'_>, errors: &mut Errors) {
    field.all_invalid(text::dns1123_subdomain(field.str(), false), errors);
}

/// A qualified name: `example.com/thing`.
pub fn qualified_name(field: &View<'_>, errors: &mut Errors) {
    field.all_invalid(text::qualified_name(field.str()), errors);
}

/// `TCP`, `UDP` or `SCTP`.
pub fn protocol(field: &View<'_>, errors: &mut Errors) {
    if field.str().is_empty() {
        errors.push(field.required(""));
    } else {
        field.one_of(&["SCTP", "TCP", "UDP"], errors);
    }
}

/// A finalizer in `spec.finalizers` of a namespace or in `metadata`.
pub fn finalizer(field: &View<'_>, name: &str, errors: &mut Errors) {
    let mut push = |detail: String| errors.push(Error::invalid(&field.path, name, detail));
    text::qualified_name(name).into_iter().for_each(&mut push);
    if !name.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&name) {
        push("name is neither a standard finalizer name nor is it fully qualified".to_owned());
    }
}

/// A port number, or the name of a port.
pub fn port_number_or_name(field: &View<'_>, errors: &mut Errors) {
    match field.int() {
        Some(number) => field.all_invalid(text::port_number(number), errors),
        None => field.all_invalid(text::port_name(field.str()), errors),
    }
}
