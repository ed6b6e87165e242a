//! Which nodes a pod may be on: its node selector and required affinity, and the taints that it tolerates.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration};

/// Why a pod is not for a node (upstream: `nodeaffinity.ErrReasonPod`).
pub const NOT_SELECTED: &str = "node(s) didn't match Pod's node affinity/selector";

/// Whether `nodeSelector` and the required node affinity select a node
/// (upstream: `nodeaffinity.RequiredNodeAffinity`).
pub fn selects(spec: &PodSpec, node: &Node) -> bool {
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|l| l.get(key));
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| label(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|r| r.node_selector_terms.iter().any(|t| term_matches(t, node)))
}

/// Whether a node meets one term: all of its expressions and fields. An empty term matches nothing.
pub fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.iter().flatten();
    let fields = term.match_fields.iter().flatten();
    let empty = expressions.clone().next().is_none() && fields.clone().next().is_none();
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let field = |key: &str| if key == "metadata.name" { node.metadata.name.as_deref() } else { None };
    !empty
        && expressions.into_iter().all(|r| holds(r, labels.get(&r.key).map(String::as_str)))
        && fields.into_iter().all(|r| holds(r, field(&r.key)))
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let contains = |v: &str| values.iter().any(|x| x == v);
    let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
    let compare = || Some(number(value)?.cmp(&number(values.first().map(String::as_str))?));
    match requirement.operator.as_str() {
        "In" => value.is_some_and(contains),
        "NotIn" => value.is_none_or(|v| !contains(v)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare().is_some_and(|o| o.is_gt()),
        "Lt" => compare().is_some_and(|o| o.is_lt()),
        _ => false,
    }
}

/// Whether a toleration covers a taint (upstream: `Toleration.ToleratesTaint`).
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or("");
    let key = toleration.key.as_deref().unwrap_or("");
    if !(effect.is_empty() || effect == taint.effect) || !(key.is_empty() || key == taint.key) {
        return false;
    }
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" => true,
        "Equal" | "" => toleration.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or(""),
        _ => false,
    }
}

/// The first taint of one of the effects that no toleration covers.
pub fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration], effects: &[&str]) -> Option<&'a Taint> {
    let mut of_effect = taints.iter().filter(|t| effects.contains(&t.effect.as_str()));
    of_effect.find(|taint| !tolerations.iter().any(|t| tolerates(t, taint)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    #[test]
    fn a_selector_and_an_affinity_must_both_hold() {
        let node: Node = from_value(json!({"metadata": {"name": "n1", "labels": {"a": "b", "cores": "8"}}})).expect("a node");
        let required = |terms: Value| {
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}})
        };
        let term = |key: &str, operator: &str, values: &[&str]| {
            json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
        };
        let on = |selector: Value, affinity: Value| {
            let spec = json!({"containers": [], "nodeSelector": selector, "affinity": affinity});
            selects(&from_value(spec).expect("a spec"), &node)
        };
        assert!(on(json!({"a": "b"}), Value::Null));
        assert!(!on(json!({"a": "c"}), Value::Null));
        assert!(on(Value::Null, required(json!([term("a", "In", &["c"]), term("cores", "Gt", &["7"])]))));
        assert!(!on(json!({"a": "c"}), required(json!([term("cores", "Gt", &["7"])]))));
        assert!(!on(json!({"a": "b"}), required(json!([term("cores", "Lt", &["8"])]))));
        assert!(!on(Value::Null, required(json!([{}]))), "an empty term matches nothing");
        let field = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]);
        assert!(on(Value::Null, required(field)));
    }

    #[test]
    fn a_taint_is_tolerated_by_key_value_and_effect() {
        let taints: Vec<Taint> = from_value(json!([{"key": "k", "value": "v", "effect": "NoExecute"}])).expect("taints");
        let left = |toleration: Value| {
            let toleration = from_value(toleration).expect("a toleration");
            untolerated(&taints, &[toleration], &["NoExecute"]).is_some()
        };
        assert!(!left(json!({"operator": "Exists"})));
        assert!(!left(json!({"key": "k", "value": "v"})));
        assert!(!left(json!({"key": "k", "operator": "Exists", "effect": "NoExecute"})));
        assert!(left(json!({"key": "k", "value": "w"})));
        assert!(left(json!({"key": "k", "operator": "Exists", "effect": "NoSchedule"})));
        assert!(untolerated(&taints, &[], &["NoSchedule"]).is_none());
    }
}
