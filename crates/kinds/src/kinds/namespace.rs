//! Namespace.

use meta::field::{Error, Errors, Path};
use meta::{Object, text};
use serde_json::{Value, json};

use crate::Now;
use crate::descriptor::{CHANGE, Descriptor, Verbs};
use crate::print::{AGE, NAME};
use crate::rules::{Column, Context, Rules, Word, age};
use crate::tree::{only_status, restore};
use crate::validate::{finalizer, own_metadata, own_metadata_update};
use crate::view::View;

static COLUMNS: [Column; 3] = [NAME, crate::print::text("Status", "Phase of its life"), AGE];

struct Namespace;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Namespace", "namespaces", Namespace)
        .cluster_scoped()
        .verbs(Verbs::NoDeleteCollection)
        .short("ns")
        .sub("finalize", &["update"])
        .sub("status", CHANGE)
}

impl Rules for Namespace {
    fn returns_deleted(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Object) {
        let name = object.name().to_owned();
        if !name.is_empty() {
            let metadata = crate::tree::child_or_new(object.fields_mut(), "metadata");
            crate::tree::child_or_new(metadata, "labels").insert("kubernetes.io/metadata.name".to_owned(), name.into());
        }
        if object.str_at("status.phase").is_empty() {
            object.set("status.phase", "Active");
        }
        object.set_default("spec", json!({}));
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({"phase": "Active"}));
        let mut finalizers = object.list_at("spec.finalizers").to_vec();
        if !finalizers.iter().any(|f| f == "kubernetes") {
            finalizers.push("kubernetes".into());
        }
        object.set("spec.finalizers", finalizers);
        // A name that was generated has not been in the label yet.
        self.default(object);
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "spec.finalizers");
        restore(new, old, "status");
    }

    fn prepare_subresource(&self, subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        match subresource {
            "status" => only_status(new, old),
            _ => restore(new, old, "status"),
        }
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let finalizers = View::of(object, "spec").at("finalizers");
        finalizers.strings().for_each(|name| finalizer(&finalizers, name, &mut errors));
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata(new, false, &|name, prefix| self.validate_name(name, prefix));
        errors.extend(self.validate(new));
        errors.extend(own_metadata_update(new, old));
        errors
    }

    fn validate_subresource(&self, subresource: &str, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        if subresource == "status" {
            let path = Path::new("status").child("Phase");
            let phase = new.str_at("status.phase");
            let wrong = match new.deletion_timestamp() {
                None => (phase != "Active").then_some("may only be 'Active' if `deletionTimestamp` is empty"),
                Some(_) => (phase != "Terminating").then_some("may only be 'Terminating' if `deletionTimestamp` is not empty"),
            };
            errors.extend(wrong.map(|detail| Error::invalid(&path, phase, detail)));
        } else {
            for name in View::of(new, "spec").each("finalizers") {
                finalizer(&name, name.str(), &mut errors);
            }
        }
        errors
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        text::dns1123_label(name, prefix)
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        vec![("status.phase".into(), object.str_at("status.phase").to_owned())]
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        vec![object.name().into(), object.str_at("status.phase").into(), age(object, now).into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_namespace_is_active_and_final() {
        let mut ns =
            Object::from_value(json!({"metadata": {"name": "a"}, "status": {"phase": "Terminating"}})).unwrap_or_default();
        Namespace.prepare_create(&mut ns, &Context::default());
        let want = json!({
            "metadata": {"name": "a", "labels": {"kubernetes.io/metadata.name": "a"}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        assert_eq!(ns.into_value(), want);
    }
}
