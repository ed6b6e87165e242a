//! Checks that several kinds share, with upstream's messages and order.

pub mod bundle;
pub mod ip;
pub mod metadata;
pub mod pem;
pub mod resources;
pub mod selector;
pub mod taint;

use meta::field::{Error, Errors};
use meta::{Object, text};

use serde_json::Value;

use crate::tree;
use crate::view::View;

pub use metadata::{metadata, metadata_update, own_metadata, own_metadata_update};

/// What upstream says of a field that may not change.
pub const IMMUTABLE: &str = "field is immutable";

/// The field at a path must be as it was.
pub fn immutable(new: &View<'_>, old: &View<'_>, errors: &mut Errors) {
    let path = new.path.to_string();
    let name = path.rsplit('.').next().unwrap_or(&path);
    if !tree::same(name, new.value(), old.value()) {
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

/// A value as messages show it that upstream has in its internal form: with Go's names, every field, in their order.
pub fn internal(fields: &[(&str, Value)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", fields.join(","))
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

/// What is wrong with a finalizer that is neither known nor somebody's own.
pub(crate) fn standard_finalizer(name: &str) -> Option<&'static str> {
    let known = name.contains('/') || ["kubernetes", "orphan", "foregroundDeletion"].contains(&name);
    (!known).then_some("name is neither a standard finalizer name nor is it fully qualified")
}

/// A finalizer in `spec.finalizers` of a namespace or in `metadata`.
pub fn finalizer(field: &View<'_>, name: &str, errors: &mut Errors) {
    let mut push = |detail: String| errors.push(Error::invalid(&field.path, name, detail));
    text::qualified_name(name).into_iter().for_each(&mut push);
    standard_finalizer(name).map(str::to_owned).into_iter().for_each(push);
}

/// A port number.
pub fn port_number(field: &View<'_>, errors: &mut Errors) {
    field.all_invalid_number(text::port_number(field.int().unwrap_or(0)), errors);
}

/// A port number, or the name of a port.
pub fn port_number_or_name(field: &View<'_>, errors: &mut Errors) {
    match field.value() {
        Some(value) if value.is_string() => field.all_invalid(text::port_name(field.str()), errors),
        _ => port_number(field, errors),
    }
}
