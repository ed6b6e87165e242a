//! Deployment.

use meta::Object;
use meta::field::{Error, Errors};
use serde_json::{Value, json};

use super::workload;
use crate::Now;
use crate::descriptor::{CHANGE, Descriptor};
use crate::podspec::defaults::template_in;
use crate::podspec::gated;
use crate::print::{AGE, NAME, text, wide};
use crate::rules::{Column, Context, Rules, age};
use crate::tree::{Fields, child_or_new, default_absent, default_zero, only_status, restore, same_at};
use crate::validate::{immutable, own_metadata_update};
use crate::view::View;

static COLUMNS: [Column; 8] = [
    NAME,
    text("Ready", "Replicas that are ready, and asked for"),
    text("Up-to-date", "Replicas of the newest template"),
    text("Available", "Replicas that have been ready for long enough"),
    AGE,
    wide("Containers", "Names of the containers"),
    wide("Images", "Images of the containers"),
    wide("Selector", "Which pods belong to it"),
];

struct Deployment;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("apps/v1", "Deployment", "deployments", Deployment)
        .short("deploy")
        .in_all()
        .sub_of("scale", workload::SCALE, CHANGE)
        .sub("status", CHANGE)
}

impl Rules for Deployment {
    fn default(&self, object: &mut Object) {
        let spec = child_or_new(object.fields_mut(), "spec");
        default_absent(spec, "replicas", 1);
        strategy_defaults(child_or_new(spec, "strategy"));
        default_absent(spec, "revisionHistoryLimit", 10);
        default_absent(spec, "progressDeadlineSeconds", 600);
        template_in(spec);
        object.set_default("status", json!({}));
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({}));
        gated::drop_disabled(object, None, "spec.template.spec");
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "status");
        gated::drop_disabled(new, Some(old), "spec.template.spec");
    }

    fn prepare_subresource(&self, subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        if subresource == "status" {
            only_status(new, old);
            restore(new, old, "metadata.labels");
        }
    }

    fn kept_by_status(&self) -> &'static [&'static [&'static str]] {
        &[&["spec"], &["metadata", "labels"]]
    }

    fn has_generation(&self) -> bool {
        true
    }

    /// Annotations count too: they are copied to the replica sets.
    fn generation_changes(&self, new: &Object, old: &Object) -> bool {
        !same_at(new, old, "spec") || !same_at(new, old, "metadata.annotations")
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let spec = View::of(object, "spec");
        spec.at("replicas").not_negative(&mut errors);
        workload::selector_and_template(&spec, &mut errors);
        strategy(&spec.at("strategy"), &mut errors);
        spec.at("minReadySeconds").not_negative(&mut errors);
        spec.at("revisionHistoryLimit").not_negative(&mut errors);
        let deadline = spec.at("progressDeadlineSeconds");
        deadline.not_negative(&mut errors);
        if deadline.int().is_some_and(|seconds| seconds <= spec.number("minReadySeconds")) {
            errors.push(deadline.invalid("must be greater than minReadySeconds"));
        }
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        errors.extend(self.validate(new));
        immutable(&View::of(new, "spec").at("selector"), &View::of(old, "spec").at("selector"), &mut errors);
        errors
    }

    fn validate_subresource(&self, subresource: &str, new: &Object, old: &Object) -> Errors {
        if subresource != "status" {
            return Errors::new();
        }
        let mut errors = own_metadata_update(new, old);
        let status = View::of(new, "status");
        for count in [
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ] {
            status.at(count).not_negative(&mut errors);
        }
        workload::not_more_than_replicas(&status, "updatedReplicas", &mut errors);
        let collisions = status.number("collisionCount");
        if collisions < old.i64_at("status.collisionCount").unwrap_or(0) {
            errors.push(Error::invalid(&status.at("collisionCount").path, collisions, "cannot be decremented"));
        }
        errors
    }

    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        workload::warnings(new, old)
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let spec = View::of(object, "spec");
        let (names, images) = crate::print::containers(&spec.at("template").at("spec"));
        let count = |path| object.i64_at(path).unwrap_or(0);
        vec![
            object.name().into(),
            format!("{}/{}", count("status.readyReplicas"), count("spec.replicas")).into(),
            count("status.updatedReplicas").into(),
            count("status.availableReplicas").into(),
            age(object, now).into(),
            names.into(),
            images.into(),
            crate::print::selector(&spec.at("selector")).into(),
        ]
    }
}

fn strategy_defaults(strategy: &mut Fields) {
    default_zero(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = child_or_new(strategy, "rollingUpdate");
        default_absent(rolling, "maxUnavailable", "25%");
        default_absent(rolling, "maxSurge", "25%");
    }
}

fn strategy(strategy: &View<'_>, errors: &mut Errors) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.text("type") {
        "Recreate" if rolling.exists() => {
            errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            workload::count_or_percent(&unavailable, errors);
            workload::count_or_percent(&surge, errors);
            if workload::number(&unavailable) == 0 && workload::number(&surge) == 0 {
                errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
            }
            if unavailable.str().ends_with('%') && workload::number(&unavailable) > 100 {
                errors.push(unavailable.invalid("must not be greater than 100%"));
            }
        }
        other => {
            // Upstream shows its internal form of the whole strategy.
            let part = |name| rolling.at(name).value().cloned().unwrap_or_else(|| 0.into());
            let parts = || format!(r#"{{"MaxUnavailable":{},"MaxSurge":{}}}"#, part("maxUnavailable"), part("maxSurge"));
            let rolling = if rolling.exists() { parts() } else { "null".to_owned() };
            let shown = format!(r#"{{"Type":{},"RollingUpdate":{rolling}}}"#, json!(other));
            let error = Error::not_supported(&strategy.path, Value::Null, &["Recreate", "RollingUpdate"]);
            errors.push(error.showing(shown));
        }
    }
}
