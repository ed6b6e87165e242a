//! What Deployment and ReplicaSet have in common. Not a kind.

use meta::field::Errors;
use meta::selector::Labels;
use meta::{Object, text};

use crate::tree::same_at;
use crate::validate::selector::label_selector;
use crate::view::View;

/// Group, version and kind of the subresource `scale`.
pub const SCALE: (&str, &str, &str) = ("autoscaling", "v1", "Scale");

/// The selector, the template, and that they fit together.
pub fn selector_and_template(spec: &View<'_>, errors: &mut Errors) {
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    let before = errors.len();
    let mut broken = false;
    if !selector.exists() {
        errors.push(selector.required(""));
    } else {
        label_selector(&selector, errors);
        broken = errors.len() > before;
        if selector.at("matchLabels").is_empty() && selector.at("matchExpressions").is_empty() {
            errors.push(selector.invalid("empty selector is invalid for deployment"));
        }
    }
    let parsed = Labels::from_value(selector.value()).ok().filter(|_| !broken);
    let Some(parsed) = parsed else {
        errors.push(selector.invalid("invalid label selector"));
        return;
    };
    let labels = template.at("metadata").at("labels");
    if (parsed.nothing || !parsed.is_empty()) && !parsed.matches(|key| labels.get(key).map(|v| v.str())) {
        let shown = labels.value().cloned().unwrap_or_default();
        let detail = "`selector` does not match template `labels`";
        errors.push(meta::field::Error::invalid(&labels.path, shown, detail));
    }
    crate::podspec::validate::template(&template, errors);
    let pod = template.at("spec");
    if pod.text("restartPolicy") != "Always" {
        errors.push(pod.at("restartPolicy").not_supported(&["Always"]));
    }
    if let Some(deadline) = pod.get("activeDeadlineSeconds") {
        errors.push(deadline.forbidden("activeDeadlineSeconds in ReplicaSet is not Supported"));
    }
}

/// Counts in a status that cannot exceed others.
pub fn not_more_than_replicas(status: &View<'_>, first: &str, errors: &mut Errors) {
    let all = status.number("replicas");
    for count in [first, "readyReplicas", "availableReplicas"] {
        if status.number(count) > all {
            errors.push(status.at(count).invalid("cannot be greater than status.replicas"));
        }
    }
    if status.number("availableReplicas") > status.number("readyReplicas") {
        errors.push(status.at("availableReplicas").invalid("cannot be greater than readyReplicas"));
    }
}

/// A count, or a share in percent.
pub fn count_or_percent(field: &View<'_>, errors: &mut Errors) {
    match field.int() {
        Some(_) => field.not_negative(errors),
        None => field.all_invalid(text::percent(field.str()), errors),
    }
}

/// The number in a count or percentage.
pub fn number(field: &View<'_>) -> i64 {
    field.int().or_else(|| field.str().trim_end_matches('%').parse().ok()).unwrap_or(0)
}

/// Warnings about the name and the template.
pub fn warnings(new: &Object, old: Option<&Object>) -> Vec<String> {
    let mut warnings = Vec::new();
    let messages = text::dns1123_label(new.name(), false);
    if old.is_none() && !messages.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            messages.join(" ")
        ));
    }
    if old.is_none_or(|old| !same_at(new, old, "spec")) {
        let template = View::of(new, "spec").at("template");
        warnings.extend(crate::podspec::warnings::of(&template.at("metadata"), &template.at("spec")));
    }
    warnings
}
