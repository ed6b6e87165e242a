//! CustomResourceDefinition: a kind that is made at run time (upstream: `apiextensions-apiserver/pkg/registry/customresourcedefinition`
//! and `pkg/apis/apiextensions/validation`).

mod conversion;
mod definition;
mod embedded;
mod names;
mod old;
mod printed;
mod schema;
mod spec;
mod stored;
#[cfg(test)]
mod tests;
mod versions;
mod walk;

use std::collections::HashSet;

use jiff::Timestamp;
use meta::Object;
use meta::field::{Error, Errors, Path};
use serde_json::{Value, json};

use crate::Now;
use crate::descriptor::{CHANGE, Descriptor};
use crate::print::NAME_AND_CREATED;
use crate::rules::{Column, Context, Rules};
use crate::tree::{child_mut, child_or_new, default_absent, default_zero, each_mut, only_status, restore, same_at};
use crate::validate::metadata::metadata_update;

pub use conversion::REVIEWS;
pub use embedded::embedded;

/// What keeps a definition until its objects are gone.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

struct CustomResourceDefinition;

/// What is served.
pub fn descriptor() -> Descriptor {
    let rules = CustomResourceDefinition;
    let made = Descriptor::builtin("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", rules);
    let made = made.cluster_scoped().short("crd").short("crds").in_category("api-extensions").sub("status", CHANGE);
    made.stored_at("/registry/apiextensions.k8s.io/customresourcedefinitions/")
}

impl Rules for CustomResourceDefinition {
    fn default(&self, object: &mut Object) {
        let spec = child_or_new(object.fields_mut(), "spec");
        let names = child_or_new(spec, "names");
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or("").to_owned();
        if !kind.is_empty() {
            default_zero(names, "singular", kind.to_lowercase());
            default_zero(names, "listKind", format!("{kind}List"));
        }
        default_absent(spec, "conversion", json!({"strategy": "None"}));
        let webhook = child_mut(spec, "conversion").and_then(|conversion| child_mut(conversion, "webhook"));
        let service = webhook.and_then(|webhook| child_mut(webhook, "clientConfig")).and_then(|client| child_mut(client, "service"));
        service.into_iter().for_each(|service| default_absent(service, "port", 443));
        if object.list_at("status.storedVersions").is_empty() {
            store_version(object);
        }
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.remove("status");
        store_version(object);
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "status");
        store_version(new);
    }

    fn prepare_subresource(&self, _subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        only_status(new, old);
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let wanted = format!("{}.{}", object.str_at("spec.names.plural"), object.str_at("spec.group"));
        if !object.name().is_empty() && object.name() != wanted {
            let path = Path::new("metadata").child("name");
            errors.push(Error::invalid(&path, object.name(), "must be spec.names.plural+\".\"+spec.group"));
        }
        errors.extend(definition(object, None, &old::Demands::of_new()));
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = metadata_update(new, old);
        errors.extend(definition(new, Some(old), &old::Demands::of_change(new, old)));
        errors
    }

    fn validate_subresource(&self, _subresource: &str, new: &Object, old: &Object) -> Errors {
        let mut errors = metadata_update(new, old);
        names::status(new, &mut errors);
        errors
    }

    fn effort(&self, subresource: &str) -> usize {
        // Rules are compiled.
        if subresource.is_empty() { usize::MAX } else { 0 }
    }

    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        let known: HashSet<String> = old.map(definition::unknown_formats).unwrap_or_default().into_iter().collect();
        let unknown = definition::unknown_formats(new).into_iter().filter(|format| !known.contains(format));
        unknown.map(|format| format!("unrecognized format {}", meta::text::quoted(&format))).collect()
    }

    fn status_warnings(&self, _new: &Object, _old: &Object) -> Vec<String> {
        Vec::new()
    }

    fn begin_deletion(&self, object: &mut Object, now: Timestamp) -> bool {
        let now = meta::time::seconds(now);
        object.set("metadata.deletionTimestamp", &*now);
        if object.finalizers().all(|name| name != FINALIZER) {
            let all: Vec<Value> = object.finalizers().chain([FINALIZER]).map(Value::from).collect();
            object.set("metadata.finalizers", all);
        }
        let mut conditions = object.list_at("status.conditions").to_vec();
        conditions.retain(|condition| condition["type"] != "Terminating");
        let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
        conditions.push(json!({"type": "Terminating", "status": "True", "lastTransitionTime": now,
            "reason": "InstanceDeletionPending", "message": message}));
        object.set("status.conditions", conditions);
        true
    }

    fn to_stored(&self, object: &Object) -> Option<Object> {
        Some(stored::to_stored(object))
    }

    fn from_stored(&self, object: Object) -> Object {
        stored::from_stored(object)
    }

    fn checks_finalizers(&self) -> bool {
        false
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, new: &Object, old: &Object) -> bool {
        !same_at(new, old, "spec")
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn columns(&self) -> &'static [Column] {
        &NAME_AND_CREATED
    }

    fn row(&self, object: &Object, _now: &Now) -> Vec<Value> {
        vec![object.name().into(), object.str_at("metadata.creationTimestamp").into()]
    }
}

/// The version in which objects are stored is one of those that are.
fn store_version(object: &mut Object) {
    let spec = child_or_new(object.fields_mut(), "spec");
    let storage = each_mut(spec, "versions").find(|version| version.get("storage") == Some(&Value::Bool(true)));
    let Some(name) = storage.and_then(|version| version.get("name")).cloned() else { return };
    let mut stored = object.list_at("status.storedVersions").to_vec();
    if !stored.contains(&name) {
        stored.push(name);
        object.set("status.storedVersions", Value::Array(stored));
    }
}

fn definition(object: &Object, old: Option<&Object>, demands: &old::Demands) -> Errors {
    let mut errors = Errors::new();
    spec::validate(object, demands, &mut errors);
    if let Some(old) = old {
        spec::immutable(object, old, demands, &mut errors);
    }
    names::status(object, &mut errors);
    versions::stored(object, &mut errors);
    names::approval(object, old, &mut errors);
    if object.bool_at("spec.preserveUnknownFields") == Some(true) && old.and_then(|old| old.bool_at("spec.preserveUnknownFields")) != Some(true) {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(Error::invalid(&Path::new("spec").child("preserveUnknownFields"), true, why));
    }
    errors
}
