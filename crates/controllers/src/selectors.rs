//! Typed label selectors.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use meta::selector::{Labels, Operator, Requirement};

/// The selector in its matching form; `None` if an operator is unknown.
pub fn parse(selector: &LabelSelector) -> Option<Labels> {
    let mut requirements = Vec::new();
    for (key, value) in selector.match_labels.iter().flatten() {
        requirements.push(Requirement { key: key.clone(), operator: Operator::In, values: [value.clone()].into() });
    }
    for e in selector.match_expressions.iter().flatten() {
        let operator = match e.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        let values = e.values.iter().flatten().cloned().collect();
        requirements.push(Requirement { key: e.key.clone(), operator, values });
    }
    Some(Labels { requirements, nothing: false })
}

/// Whether a selector selects an object.
pub fn selects(selector: &Labels, meta: &ObjectMeta) -> bool {
    selector.matches(|key| meta.labels.as_ref()?.get(key).map(String::as_str))
}

/// Whether an object has all these labels (a Service's selector).
pub fn has_all(wanted: &BTreeMap<String, String>, meta: &ObjectMeta) -> bool {
    wanted.iter().all(|(key, value)| meta.labels.as_ref().and_then(|l| l.get(key)) == Some(value))
}
