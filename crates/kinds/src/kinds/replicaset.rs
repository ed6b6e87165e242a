//! ReplicaSet.

use meta::Object;
use meta::field::Errors;
use serde_json::{Value, json};

use super::workload;
use crate::Now;
use crate::descriptor::{CHANGE, Descriptor};
use crate::podspec::defaults::template_in;
use crate::podspec::gated;
use crate::print::{AGE, NAME, integer, or, wide};
use crate::rules::{Column, Context, Rules, Word, age};
use crate::tree::{child_or_new, default_absent, only_status, restore, same_at};
use crate::validate::{immutable, own_metadata_update};
use crate::view::View;

static COLUMNS: [Column; 8] = [
    NAME,
    integer("Desired", "Replicas asked for"),
    integer("Current", "Replicas that exist"),
    integer("Ready", "Replicas that are ready"),
    AGE,
    wide("Containers", "Names of the containers"),
    wide("Images", "Images of the containers"),
    wide("Selector", "Which pods belong to it"),
];

struct ReplicaSet;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("apps/v1", "ReplicaSet", "replicasets", ReplicaSet)
        .short("rs")
        .in_all()
        .sub_of("scale", workload::SCALE, CHANGE)
        .sub("status", CHANGE)
}

impl Rules for ReplicaSet {
    fn default(&self, object: &mut Object) {
        let spec = child_or_new(object.fields_mut(), "spec");
        default_absent(spec, "replicas", 1);
        template_in(spec);
        object.set_default("status", json!({"replicas": 0}));
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({"replicas": 0}));
        gated::drop_disabled(object, None, "spec.template.spec");
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "status");
        gated::drop_disabled(new, Some(old), "spec.template.spec");
    }

    fn prepare_subresource(&self, subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        if subresource == "status" {
            only_status(new, old);
        }
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, new: &Object, old: &Object) -> bool {
        !same_at(new, old, "spec")
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let spec = View::of(object, "spec");
        spec.at("replicas").not_negative(&mut errors);
        spec.at("minReadySeconds").not_negative(&mut errors);
        workload::selector_and_template(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        errors.extend(self.validate(new));
        immutable(&View::of(new, "spec").at("selector"), &View::of(old, "spec").at("selector"), &mut errors);
        errors
    }

    fn validate_subresource(&self, subresource: &str, new: &Object, old: &Object) -> Errors {
        let mut errors = Errors::new();
        if subresource == "status" {
            errors.extend(own_metadata_update(new, old));
            let status = View::of(new, "status");
            let counts = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
            counts.into_iter().chain(["terminatingReplicas"]).for_each(|c| status.at(c).not_negative(&mut errors));
            workload::not_more_than_replicas(&status, "fullyLabeledReplicas", &mut errors);
        }
        errors
    }

    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        workload::warnings(new, old)
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        vec![("status.replicas".into(), object.i64_at("status.replicas").unwrap_or(0).to_string())]
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let spec = View::of(object, "spec");
        let (names, images) = crate::print::containers(&spec.at("template").at("spec"));
        let count = |path| Value::from(object.i64_at(path).unwrap_or(0));
        vec![
            object.name().into(),
            count("spec.replicas"),
            count("status.replicas"),
            count("status.readyReplicas"),
            age(object, now).into(),
            names.into(),
            images.into(),
            or(&crate::print::selector(&spec.at("selector")), "<none>").into(),
        ]
    }
}
