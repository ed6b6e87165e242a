//! PriorityClass.

use meta::Object;
use meta::field::{Error, Errors, Path};
use serde_json::Value;

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::{AGE, NAME};
use crate::rules::{Column, Rules, age};
use crate::tree::default_absent;
use crate::validate::{immutable_fields, own_metadata_update};
use crate::view::View;

/// The highest priority that users may define; above it are the system's.
const HIGHEST_USER: i64 = 1_000_000_000;

/// The classes that exist from the start.
const SYSTEM: [(&str, i64); 2] = [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

static COLUMNS: [Column; 5] = [
    NAME,
    crate::print::integer("Value", "Priority of its pods"),
    Column::of("Global-Default", "boolean", "", "Whether pods without a class get it", 0),
    AGE,
    crate::print::text("PreemptionPolicy", "Whether its pods displace others"),
];

struct PriorityClass;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", PriorityClass).cluster_scoped().short("pc")
}

impl Rules for PriorityClass {
    fn default(&self, object: &mut Object) {
        default_absent(object.fields_mut(), "preemptionPolicy", "PreemptLowerPriority");
        default_absent(object.fields_mut(), "value", 0);
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, _new: &Object, _old: &Object) -> bool {
        false
    }

    /// Upstream: `registry/scheduling/priorityclass/storage`.
    fn undeletable(&self, name: &str) -> Option<&'static str> {
        let system = SYSTEM.iter().any(|(system, _)| *system == name);
        system.then_some("this is a system priority class and cannot be deleted")
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let (name, value) = (object.name(), object.i64_at("value").unwrap_or(0));
        if name.starts_with("system-") {
            let wrong = match SYSTEM.iter().find(|(n, _)| *n == name) {
                None => Some(format!("{name} is not a known system priority class")),
                Some((_, v)) if *v != value => Some(format!("value of {name} PriorityClass must be {v}")),
                Some(_) if object.bool_at("globalDefault") == Some(true) => {
                    Some(format!("globalDefault of {name} PriorityClass must be false"))
                }
                Some(_) => None,
            };
            let why = "priority class names with 'system-' prefix are reserved for system use only. error:";
            errors.extend(wrong.map(|w| Error::forbidden(&Path::new("metadata").child("name"), format!("{why} {w}"))));
        } else if value > HIGHEST_USER {
            let detail = format!("maximum allowed value of a user defined priority is {HIGHEST_USER}");
            errors.push(Error::forbidden(&Path::new("value"), detail));
        }
        preemption_policy(&View::of(object, "preemptionPolicy"), &mut errors);
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        if new.i64_at("value").unwrap_or(0) != old.i64_at("value").unwrap_or(0) {
            errors.push(Error::forbidden(&Path::new("value"), "may not be changed in an update."));
        }
        immutable_fields(new, old, &["preemptionPolicy"], &mut errors);
        errors
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        vec![
            object.name().into(),
            object.i64_at("value").unwrap_or(0).into(),
            object.bool_at("globalDefault").unwrap_or(false).into(),
            age(object, now).into(),
            object.str_at("preemptionPolicy").into(),
        ]
    }
}

/// Of a class or a pod; may be absent.
pub(crate) fn preemption_policy(policy: &View<'_>, errors: &mut Errors) {
    match policy.value().map(|v| v.as_str().unwrap_or("")) {
        None | Some("PreemptLowerPriority" | "Never") => {}
        Some("") => errors.push(policy.required("")),
        Some(_) => errors.push(policy.not_supported(&["PreemptLowerPriority", "Never"])),
    }
}
