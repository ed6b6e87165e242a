//! RuntimeClass: which handler of a node's runtime runs a pod, what that costs, and where it can be done
//! (upstream: `pkg/apis/node/validation`, `pkg/registry/node/runtimeclass`).

use std::collections::HashSet;

use meta::field::{Error, Errors};
use meta::{Object, Quantity};
use serde_json::{Value, json};

use crate::Now;
use crate::descriptor::Descriptor;
use crate::podspec::validate::overhead;
use crate::podspec::warnings::old_label;
use crate::print::{AGE, NAME};
use crate::rules::{Column, Rules, age};
use crate::validate::taint::tolerations;
use crate::validate::metadata::{metadata, metadata_update};
use crate::validate::{dns_label, immutable_fields, internal};
use crate::view::View;

static COLUMNS: [Column; 3] = [NAME, crate::print::text("Handler", "What of the runtime runs its pods"), AGE];

struct RuntimeClass;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", RuntimeClass).cluster_scoped()
}

impl Rules for RuntimeClass {
    /// Quantities are printed as upstream prints them. Unlike those of pods they are not rounded.
    fn default(&self, object: &mut Object) {
        let Some(list) = object.at_mut("overhead.podFixed").and_then(Value::as_object_mut) else { return };
        for value in list.values_mut() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Ok(printed) = Quantity::printed(&text) {
                *value = printed.into();
            }
        }
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        let handler = View::of(object, "handler");
        if handler.str().is_empty() {
            errors.push(handler.required(""));
        } else {
            dns_label(&handler, &mut errors);
        }
        let cost = View::of(object, "overhead");
        overhead(&View::new(cost.at("podFixed").value(), cost.path), &mut errors);
        scheduling(&View::of(object, "scheduling"), &mut errors);
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = metadata(new, false, &|name, prefix| self.validate_name(name, prefix));
        errors.extend(self.validate(new));
        errors.extend(metadata_update(new, old));
        immutable_fields(new, old, &["handler"], &mut errors);
        errors
    }

    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        let selector = View::of(new, "scheduling").at("nodeSelector");
        let old = selector.pairs().filter_map(|(key, _)| old_label(key));
        old.map(|message| format!("{}: {message}", selector.path)).collect()
    }

    fn checks_finalizers(&self) -> bool {
        false
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
        vec![object.name().into(), object.str_at("handler").into(), age(object, now).into()]
    }
}

/// Labels of nodes, and tolerations of which none stands twice.
fn scheduling(scheduling: &View<'_>, errors: &mut Errors) {
    let selector = scheduling.at("nodeSelector");
    errors.extend(crate::validate::metadata::labels(selector.value(), &selector.path));
    let list = scheduling.at("tolerations");
    tolerations(&list, errors);
    let mut seen = HashSet::new();
    for toleration in list.items() {
        let of = |name: &str| toleration.text(name);
        if !seen.insert(["key", "operator", "value", "effect"].map(of)) {
            let seconds = json!(toleration.at("tolerationSeconds").value());
            let shown = internal(&[
                ("Key", of("key").into()),
                ("Operator", of("operator").into()),
                ("Value", of("value").into()),
                ("Effect", of("effect").into()),
                ("TolerationSeconds", seconds),
            ]);
            errors.push(Error::duplicate(&toleration.path, json!(null)).showing(shown));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(mut fields: Value) -> Object {
        fields["metadata"] = json!({"name": "c", "resourceVersion": "1"});
        Object::from_value(fields).expect("an object")
    }

    fn wrong(errors: &Errors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_is_said_as_upstream_says_it() {
        let of = |fields: Value| wrong(&RuntimeClass.validate(&class(fields)));
        assert_eq!(of(json!({"handler": "kata"})), [""; 0]);
        assert_eq!(of(json!({"handler": ""})), ["handler: Required value"]);
        assert_eq!(of(json!({"handler": "a.b"})).len(), 1);
        let cost = |list: Value| of(json!({"handler": "a", "overhead": {"podFixed": list}}));
        assert_eq!(cost(json!({"cpu": "1", "memory": "1Mi"})), [""; 0]);
        let negative = "overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0";
        assert_eq!(cost(json!({"cpu": "-1"})), [negative]);
        assert_eq!(cost(json!({"hugepages-2Mi": "2Mi"})), ["overhead: Forbidden: HugePages require cpu or memory"]);
        let places = |tolerations: Value| of(json!({"handler": "a", "scheduling": {"tolerations": tolerations}}));
        let one = |seconds: i64| json!({"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
        let twice = r#"scheduling.tolerations[1]: Duplicate value: {"Key":"k","Operator":"Exists","Value":"","Effect":"NoExecute","TolerationSeconds":2}"#;
        assert_eq!(places(json!([one(1), one(2)])), [twice]);
        assert_eq!(of(json!({"handler": "a", "scheduling": {"nodeSelector": {"a b": "c"}}})).len(), 1);
    }

    #[test]
    fn the_handler_stays_and_the_rest_may_change() {
        let (old, other) = (class(json!({"handler": "a"})), class(json!({"handler": "b"})));
        assert_eq!(
            wrong(&RuntimeClass.validate_update(&other, &old)),
            ["handler: Invalid value: \"b\": field is immutable"]
        );
        let more = class(json!({"handler": "a", "overhead": {"podFixed": {"cpu": "1"}}}));
        assert_eq!(wrong(&RuntimeClass.validate_update(&more, &old)), [""; 0]);
    }

    #[test]
    fn quantities_are_printed_and_old_labels_warned_about() {
        let mut object = class(json!({"handler": "a", "overhead": {"podFixed": {"cpu": "1000m", "memory": 1024}},
            "scheduling": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}}));
        RuntimeClass.default(&mut object);
        assert_eq!(object.at("overhead.podFixed"), Some(&json!({"cpu": "1", "memory": "1024"})));
        let warning = "scheduling.nodeSelector: deprecated since v1.14; use \"kubernetes.io/os\" instead";
        assert_eq!(RuntimeClass.warnings(&object, None), [warning]);
    }
}
