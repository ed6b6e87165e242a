//! From client-side to server-side apply and back (upstream: `managedfields/internal/lastappliedmanager.go`,
//! `lastappliedupdater.go`).
//!
//! kubectl's client-side apply keeps in an annotation what it applied last. When kubectl turns to server-side apply,
//! the fields that the annotation says, and that still are so, are its own already, whoever has them on his account:
//! they make no conflict. As long as the annotation is there it is kept current, so that kubectl can turn back. Both
//! are for the manager `kubectl` alone.

use meta::object::string_map;
use meta::{Object, limits};
use serde_json::Value;

use super::compare::compare;
use super::set::Set;
use super::{Writer, walk};

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// kubectl's name when it applies on the server.
const KUBECTL: &str = "kubectl";

/// The fields of a live object that client-side apply has made what they are. `None` if the annotation says nothing
/// of them.
pub(super) fn owned(writer: &Writer<'_>, live: &Object) -> Option<Set> {
    if writer.manager != KUBECTL {
        return None;
    }
    let last: Value = serde_json::from_str(live.annotation(ANNOTATION)?).ok()?;
    let last = Object::from_value(last).ok()?;
    let fits = last.gvk() == *writer.schema.gvk() && writer.flaw(&last).is_none() && writer.flaw(live).is_none();
    if !fits {
        return None;
    }
    let said = walk::paths(writer.form(), &last.fields().clone().into()).below;
    let differs = compare(writer.schema.root(), last.fields(), live.fields());
    Some(said.difference(&differs.changed).difference(&differs.removed))
}

/// Writes the configuration that was applied into the annotation, if the object has one. One that does not fit goes.
pub(super) fn keep_current(writer: &Writer<'_>, object: &mut Object, config: &Object) {
    if writer.manager != KUBECTL || object.annotation(ANNOTATION).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    match config.at_mut("metadata.annotations") {
        Some(Value::Object(annotations)) => drop(annotations.remove(ANNOTATION)),
        Some(_) => drop(config.remove("metadata.annotations")),
        None => {}
    }
    let mut text = schema::go_json(&config.into_value());
    text.push(b'\n');
    let Some(annotations) = object.at_mut("metadata.annotations") else { return };
    let others = string_map(Some(annotations)).filter(|(name, _)| *name != ANNOTATION);
    let size: usize = others.map(|(name, value)| name.len() + value.len()).sum();
    let fits = size + ANNOTATION.len() + text.len() <= limits::ANNOTATIONS;
    let Some(annotations) = annotations.as_object_mut() else { return };
    match String::from_utf8(text) {
        Ok(text) if fits => annotations.insert(ANNOTATION.to_owned(), text.into()),
        _ => annotations.remove(ANNOTATION),
    };
}
