//! Priority and fairness: which requests go together, and how many of them run at once.

pub mod bootstrap;
pub mod flowschema;
pub mod prioritylevelconfiguration;

use std::collections::HashSet;

use meta::Object;
use meta::field::{Error, Errors};
use serde_json::Value;

use crate::view::View;

/// The group and version of both kinds.
pub const API_VERSION: &str = "flowcontrol.apiserver.k8s.io/v1";
/// The level without bounds, and the schema that leads there.
pub const EXEMPT: &str = "exempt";
/// The level and the schema for what no other schema matches.
pub const CATCH_ALL: &str = "catch-all";

/// Conditions: each has a type, and one only.
fn conditions(object: &Object, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for condition in View::of(object, "status").each("conditions") {
        let kind = condition.at("type");
        if !seen.insert(kind.str()) {
            errors.push(Error::duplicate(&kind.path, kind.str()));
        }
        if kind.str().is_empty() {
            errors.push(kind.required(""));
        }
    }
}

/// What an update of the status leaves as it was: everything but the status and who manages the fields.
fn only_status(new: &mut Object, old: &Object) {
    let managers = new.at("metadata.managedFields").cloned();
    let version = new.at("metadata.resourceVersion").cloned();
    crate::tree::only_status(new, old);
    crate::tree::restore(new, old, "metadata");
    for (path, value) in [("metadata.managedFields", managers), ("metadata.resourceVersion", version)] {
        match value {
            Some(value) => new.set(path, value),
            None => drop(new.remove(path)),
        }
    }
}

/// A number, or upstream's word for none.
fn or_none(value: Option<i64>) -> Value {
    value.map_or_else(|| "<none>".into(), Value::from)
}
