//! Node selectors and tolerations: what several filters and scores share.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration};

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
