//! ClusterRoles that are the sum of others (upstream: the clusterrole-aggregation controller).

use std::collections::HashSet;

use meta::Object;
use meta::selector::Labels;

use super::rule::Rule;

/// One of `aggregationRule.clusterRoleSelectors`.
pub(super) type Selector = Labels;

/// How many sums may be nested.
pub(super) const DEPTH: usize = 8;

/// The selectors of an aggregated role; `None` for an ordinary one. A selector that cannot be read
/// selects nothing.
pub(super) fn selectors(role: &Object) -> Option<Vec<Selector>> {
    let rule = role.at("aggregationRule").filter(|rule| rule.is_object())?;
    let list = rule.get("clusterRoleSelectors").and_then(serde_json::Value::as_array);
    Some(list.into_iter().flatten().filter_map(|s| Labels::from_value(Some(s)).ok()).collect())
}

/// Whether any of the selectors matches.
pub(super) fn selects<'a>(selectors: &[Selector], label: impl Fn(&str) -> Option<&'a str>) -> bool {
    selectors.iter().any(|selector| selector.matches(&label))
}

/// The rules of all parts, each once.
pub(super) fn sum<'a>(parts: impl Iterator<Item = &'a [Rule]>) -> Vec<Rule> {
    let mut known: HashSet<&Rule> = HashSet::new();
    parts.flatten().filter(|rule| known.insert(rule)).cloned().collect()
}

/// The rules that an aggregated ClusterRole is to have, given all ClusterRoles in name order; `None` if it
/// is an ordinary one. For whoever writes them into the object, so that clients see them.
pub fn rules_of<'a>(role: &Object, all: impl Iterator<Item = &'a Object>) -> Option<Vec<Rule>> {
    let selectors = selectors(role)?;
    let parts = all.filter(|other| other.name() != role.name() && selects(&selectors, |label| other.label(label)));
    let rules: Vec<Vec<Rule>> = parts.map(Rule::all_of).collect();
    Some(sum(rules.iter().map(Vec::as_slice)))
}
