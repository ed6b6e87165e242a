//! Taints of nodes and what tolerates them.

use std::collections::HashSet;

use meta::field::{Error, Errors, Path};
use meta::text;
use serde_json::json;

use super::metadata::label_key;
use crate::view::View;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The taints of a node.
pub fn taints(taints: &View<'_>, path: &Path, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (i, taint) in taints.items().enumerate() {
        let taint = View::new(taint.value(), path.index(i));
        errors.extend(label_key(taint.text("key"), &taint.at("key").path));
        let wrong = text::label_value(taint.text("value"));
        if !wrong.is_empty() {
            errors.push(taint.at("value").invalid(wrong.join(";")));
        }
        effect(&taint.at("effect"), false, errors);
        if !seen.insert((taint.text("effect"), taint.text("key"))) {
            let detail = "taints must be unique by key and effect pair".to_owned();
            // Upstream shows its internal form.
            let (key, value, effect) = (taint.text("key"), taint.text("value"), taint.text("effect"));
            let time = json!(taint.at("timeAdded").value());
            let shown = format!(r#"{{"Key":{key:?},"Value":{value:?},"Effect":{effect:?},"TimeAdded":{time}}}"#);
            errors.push(Error { detail, ..Error::duplicate(&taint.path, json!(null)).showing(shown) });
        }
    }
}

/// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
pub fn effect(effect: &View<'_>, may_be_empty: bool, errors: &mut Errors) {
    if !may_be_empty && effect.str().is_empty() {
        errors.push(effect.required(""));
    } else {
        effect.one_of(&EFFECTS, errors);
    }
}

/// The tolerations of a pod.
pub fn tolerations(tolerations: &View<'_>, errors: &mut Errors) {
    for toleration in tolerations.items() {
        let key = toleration.at("key");
        if !key.str().is_empty() {
            errors.extend(label_key(key.str(), &key.path));
        }
        let operator = toleration.at("operator");
        if key.str().is_empty() && operator.str() != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(operator.invalid(detail));
        }
        let effect_is = toleration.text("effect");
        if toleration.has("tolerationSeconds") && effect_is != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(toleration.at("effect").invalid(detail));
        }
        let value = toleration.at("value");
        match operator.str() {
            "Equal" | "" => {
                let wrong = text::label_value(value.str());
                if !wrong.is_empty() {
                    errors.push(Error::invalid(&operator.path, value.str(), wrong.join(";")));
                }
            }
            "Exists" if !value.str().is_empty() => {
                errors.push(Error::invalid(&operator.path, value.str(), "value must be empty when `operator` is 'Exists'"));
            }
            "Exists" => {}
            "Lt" | "Gt" => errors.push(operator.not_supported(&["Equal", "Exists", "Lt", "Gt"])),
            _ => errors.push(operator.not_supported(&["Equal", "Exists"])),
        }
        if !effect_is.is_empty() {
            effect(&toleration.at("effect"), true, errors);
        }
    }
}
