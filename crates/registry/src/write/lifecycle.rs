//! What the life cycle does to an object on its way: pure functions.

use std::collections::HashSet;

use jiff::Timestamp;
use meta::{Object, Status, random, time};
use serde_json::Value;

/// Fields that only the server sets.
const SYSTEM: [&str; 5] = ["creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"];

/// Clears what a client may not set at creation.
pub(crate) fn wipe_system_fields(object: &mut Object) {
    if let Some(metadata) = object.at_mut("metadata").and_then(Value::as_object_mut) {
        SYSTEM.iter().for_each(|field| {
            metadata.remove(*field);
        });
    }
}

/// Takes out owners that are there twice; the warning about them. `sent`: in what a client sent, not in what came out
/// of a patch.
pub fn dedup_owners(object: &mut Object, sent: bool) -> Option<String> {
    let owners = object.at_mut("metadata.ownerReferences").and_then(Value::as_array_mut).filter(|list| list.len() > 1)?;
    let mut known: HashSet<String> = HashSet::with_capacity(owners.len());
    let mut twice: Vec<String> = Vec::new();
    owners.retain(|owner| {
        // Fields of a tree are in order: equal owners have equal texts.
        let new = known.insert(owner.to_string());
        if !new {
            twice.push(owner.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned());
        }
        new
    });
    let when = if sent { "" } else { " after mutating admission happens" };
    (!twice.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
             reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            twice.join(", ")
        )
    })
}

/// Gives a new object its identity, and its name if it asks for one.
pub(crate) fn fill_system_fields(object: &mut Object, now: Timestamp) {
    // Random numbers of this process: a system call for each new object would be felt.
    let uid = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    object.set("metadata.uid", uid.to_string());
    object.set("metadata.creationTimestamp", time::seconds(now));
    let generate = object.str_at("metadata.generateName");
    if object.name().is_empty() && !generate.is_empty() {
        let name = random::name_from(generate);
        object.set("metadata.name", name);
    }
}

/// Puts the request's namespace into the object; 400 if it names another one.
pub(crate) fn ensure_namespace(object: &mut Object, namespaced: bool, requested: &str) -> Result<(), Status> {
    let wanted = if namespaced { requested } else { "" };
    if object.namespace() == wanted {
        return Ok(());
    }
    if wanted.is_empty() {
        object.remove("metadata.namespace");
    } else if object.namespace().is_empty() {
        object.set("metadata.namespace", wanted);
    } else {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// 400 if the object is not the one that the URL names.
pub(crate) fn check_name(object: &Object, name: &str) -> Result<(), Status> {
    let is = object.name();
    if is.is_empty() {
        let why = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(Status::bad_request(why));
    }
    if is != name {
        let why = format!("the name of the object ({is}) does not match the name on the URL ({name})");
        return Err(Status::bad_request(why));
    }
    Ok(())
}

/// Restores in an update what only the server changes.
pub(crate) fn keep_system_fields(new: &mut Object, old: &Object) {
    new.remove("metadata.selfLink");
    let keep = |new: &mut Object, path: &str| match old.at(path) {
        Some(value) => new.set(path, value.clone()),
        None => {
            new.remove(path);
        }
    };
    keep(new, "metadata.generation");
    if new.uid().is_empty() {
        keep(new, "metadata.uid");
    }
    if old.at("metadata.creationTimestamp").is_some() {
        keep(new, "metadata.creationTimestamp");
    }
    if old.deletion_timestamp().is_some() {
        keep(new, "metadata.deletionTimestamp");
    }
    if new.at("metadata.deletionGracePeriodSeconds").is_none_or(Value::is_null) {
        keep(new, "metadata.deletionGracePeriodSeconds");
    }
}

/// Whether an update that leaves an object like this completes its deletion.
pub(crate) fn deleted_by_update(new: &Object, old: &Object) -> bool {
    new.finalizers().next().is_none()
        && old.deletion_timestamp().is_some()
        && old.i64_at("metadata.deletionGracePeriodSeconds").unwrap_or(0) == 0
}

/// Raises the generation of an object that has one.
pub(crate) fn raise_generation(object: &mut Object) {
    let generation = object.generation();
    if generation > 0 {
        object.set("metadata.generation", generation + 1);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_owner_counts_once() {
        let owner = |uid: &str| json!({"uid": uid, "name": "a"});
        let mut object = Object::from_value(json!({"metadata": {"ownerReferences": [owner("u"), owner("v"), owner("u")]}})).expect("an object");
        let warning = dedup_owners(&mut object, true).expect("there is one twice");
        assert!(warning.ends_with("duplicate UID(s) observed: u"), "{warning}");
        assert_eq!(object.list_at("metadata.ownerReferences"), [owner("u"), owner("v")]);
        assert_eq!(dedup_owners(&mut object, true), None);
    }
}
