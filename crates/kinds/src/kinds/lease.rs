//! Lease.

use meta::Object;
use meta::field::{Error, Errors};
use serde_json::{Value, json};

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::{AGE, NAME};
use crate::rules::{Column, Context, Rules, age};
use crate::validate::metadata_update;
use crate::view::View;

static COLUMNS: [Column; 3] = [NAME, crate::print::text("Holder", "Who holds it"), AGE];

struct Lease;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("coordination.k8s.io/v1", "Lease", "leases", Lease).lazy()
}

impl Rules for Lease {
    fn default(&self, object: &mut Object) {
        object.set_default("spec", json!({}));
    }

    /// Coordinated leader election is off, as upstream has it by default.
    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.remove("spec.strategy");
        object.remove("spec.preferredHolder");
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        for field in ["spec.strategy", "spec.preferredHolder"] {
            if old.at(field).is_none() {
                new.remove(field);
            }
        }
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let spec = View::of(object, "spec");
        if let Some(seconds) = spec.get("leaseDurationSeconds").filter(|s| s.int().is_some_and(|n| n <= 0)) {
            errors.push(seconds.invalid("must be greater than 0"));
        }
        if let Some(count) = spec.get("leaseTransitions") {
            count.not_negative(&mut errors);
        }
        if let Some(strategy) = spec.get("strategy") {
            // Upstream reports it twice as deep as it is.
            let strategy = View::new(strategy.value(), strategy.path.child("strategy"));
            if strategy.str().contains('/') {
                crate::validate::qualified_name(&strategy, &mut errors);
            } else {
                strategy.one_of(&["OldestEmulationVersion"], &mut errors);
            }
        }
        if !spec.text("preferredHolder").is_empty() && spec.text("strategy").is_empty() {
            let path = spec.path.child("preferredHolder");
            errors.push(Error::forbidden(&path, "may only be specified if `strategy` is defined"));
        }
        errors
    }

    fn checks_finalizers(&self) -> bool {
        false
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = metadata_update(new, old);
        errors.extend(self.validate(new));
        errors
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        vec![object.name().into(), object.str_at("spec.holderIdentity").into(), age(object, now).into()]
    }
}
