//! Affinity to nodes and pods, and spreading over topologies.

use std::collections::{HashMap, HashSet};

use meta::field::{Error, Errors};
use meta::text;

use crate::validate::metadata::label_key;
use crate::validate::selector::label_selector;
use crate::view::View;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `affinity`.
pub(super) fn affinity(affinity: &View<'_>, errors: &mut Errors) {
    let node = affinity.at("nodeAffinity");
    if let Some(required) = node.get(REQUIRED) {
        let terms = required.at("nodeSelectorTerms");
        if terms.is_empty() {
            errors.push(terms.required("must have at least one node selector term"));
        }
        terms.items().for_each(|term| node_term(&term, true, errors));
    }
    for preferred in node.each(PREFERRED) {
        weight(&preferred, errors);
        node_term(&preferred.at("preference"), false, errors);
    }
    for pods in ["podAffinity", "podAntiAffinity"].into_iter().map(|f| affinity.at(f)) {
        pods.each(REQUIRED).for_each(|term| pod_term(&term, errors));
        for preferred in pods.each(PREFERRED) {
            weight(&preferred, errors);
            pod_term(&preferred.at("podAffinityTerm"), errors);
        }
    }
}

fn weight(term: &View<'_>, errors: &mut Errors) {
    if !(1..=100).contains(&term.number("weight")) {
        errors.push(Error::invalid(&term.at("weight").path, term.number("weight"), "must be in the range 1-100"));
    }
}

fn node_term(term: &View<'_>, check_values: bool, errors: &mut Errors) {
    for requirement in term.each("matchExpressions") {
        node_requirement(&requirement, check_values, errors);
    }
    for requirement in term.each("matchFields") {
        let (key, operator, values) = (requirement.at("key"), requirement.at("operator"), requirement.at("values"));
        match operator.str() {
            "In" | "NotIn" if values.list().len() != 1 => {
                errors.push(values.required("must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
            }
            "In" | "NotIn" => {}
            _ => errors.push(operator.invalid("not a valid selector operator")),
        }
        if key.str() == "metadata.name" {
            for value in values.items() {
                value.all_invalid(text::dns1123_subdomain(value.str(), false), errors);
            }
        } else {
            errors.push(key.invalid("not a valid field selector key"));
        }
    }
}

fn node_requirement(requirement: &View<'_>, check_values: bool, errors: &mut Errors) {
    let (operator, values) = (requirement.at("operator"), requirement.at("values"));
    let count = values.list().len();
    match operator.str() {
        "In" | "NotIn" if count == 0 => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "Gt" | "Lt" if count != 1 => {
            errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
    errors.extend(label_key(requirement.text("key"), &requirement.at("key").path));
    if check_values {
        for value in values.items() {
            value.all_invalid(text::label_value(value.str()), errors);
        }
    }
}

fn pod_term(term: &View<'_>, errors: &mut Errors) {
    label_selector(&term.at("labelSelector"), errors);
    label_selector(&term.at("namespaceSelector"), errors);
    for name in term.at("namespaces").strings() {
        let wrong = text::dns1123_label(name, false).into_iter();
        errors.extend(wrong.map(|m| Error::invalid(&term.path.child("namespace"), name, m)));
    }
    label_keys(term, errors);
    let key = term.at("topologyKey");
    if key.str().is_empty() {
        errors.push(key.required("can not be empty"));
    }
    errors.extend(label_key(key.str(), &key.path));
}

/// Keys whose values are those of the pod itself.
fn label_keys(owner: &View<'_>, errors: &mut Errors) {
    let (selector, keys, others) = (owner.at("labelSelector"), owner.at("matchLabelKeys"), owner.at("mismatchLabelKeys"));
    for list in [&keys, &others].into_iter().filter(|l| !l.is_empty()) {
        if !selector.exists() {
            errors.push(list.forbidden("must not be specified when labelSelector is not set"));
            continue;
        }
        list.items().for_each(|key| errors.extend(label_key(key.str(), &key.path)));
    }
    let mut known: HashSet<&str> = selector.at("matchLabels").pairs().map(|(k, _)| k).collect();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (i, key) in keys.strings().enumerate() {
        places.entry(key).or_insert(i);
    }
    for key in selector.each("matchExpressions").map(|e| e.text("key")) {
        if let Some(i) = places.get(key)
            && !known.insert(key)
        {
            errors.push(Error::invalid(&owner.path.index(*i), key, "exists in both matchLabelKeys and labelSelector"));
        }
    }
    let others: HashSet<&str> = others.strings().collect();
    for key in keys.items().filter(|k| others.contains(k.str())) {
        errors.push(key.invalid("exists in both matchLabelKeys and mismatchLabelKeys"));
    }
}

/// `topologySpreadConstraints`.
pub(super) fn spread(list: &View<'_>, errors: &mut Errors) {
    let mut later: HashMap<(&str, &str), usize> = HashMap::new();
    for constraint in list.items() {
        *later.entry((constraint.text("topologyKey"), constraint.text("whenUnsatisfiable"))).or_default() += 1;
    }
    for constraint in list.items() {
        let (skew, key, action) = (constraint.at("maxSkew"), constraint.at("topologyKey"), constraint.at("whenUnsatisfiable"));
        if skew.int().unwrap_or(0) <= 0 {
            errors.push(Error::invalid(&skew.path, skew.int().unwrap_or(0), "must be greater than zero"));
        }
        if key.str().is_empty() {
            errors.push(key.required("can not be empty"));
        }
        action.one_of(&["DoNotSchedule", "ScheduleAnyway"], errors);
        let same = later.entry((key.str(), action.str())).or_insert(1);
        *same -= 1;
        if *same > 0 {
            let path = constraint.path.child("{topologyKey, whenUnsatisfiable}");
            errors.push(Error::duplicate(&path, format!("{{{}, {}}}", key.str(), action.str())));
        }
        if let Some(domains) = constraint.get("minDomains") {
            if domains.int().unwrap_or(0) <= 0 {
                errors.push(domains.invalid("must be greater than zero"));
            }
            if action.str() != "DoNotSchedule" {
                let detail = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not";
                errors.push(domains.invalid(format!("{detail} {}", action.str())));
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"].into_iter().filter_map(|p| constraint.get(p)) {
            policy.one_of(&["Honor", "Ignore"], errors);
        }
        label_keys(&constraint, errors);
        label_selector(&constraint.at("labelSelector"), errors);
    }
}
