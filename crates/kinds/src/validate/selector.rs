//! Label selectors (upstream: `apimachinery/pkg/apis/meta/v1/validation`).

use meta::field::{Error, Errors};
use meta::text;

use super::metadata::{label, label_key};
use crate::view::View;

/// A `LabelSelector`; an absent one is fine.
pub fn label_selector(selector: &View<'_>, errors: &mut Errors) {
    let labels = selector.at("matchLabels");
    for (key, value) in labels.pairs() {
        errors.extend(label(key, value, &labels.path));
    }
    selector.each("matchExpressions").for_each(|e| requirement(&e, false, errors));
}

/// One of its requirements.
pub fn requirement(requirement: &View<'_>, any_operator: bool, errors: &mut Errors) {
    let values = requirement.at("values");
    operator(requirement, any_operator, errors);
    errors.extend(label_key(requirement.text("key"), &requirement.at("key").path));
    for value in values.items() {
        value.all_invalid(text::label_value(value.str()), errors);
    }
}

/// A requirement on a field, in an access review.
pub fn field_requirement(requirement: &View<'_>, errors: &mut Errors) {
    if requirement.text("key").is_empty() {
        errors.push(requirement.at("key").required("must be specified"));
    }
    operator(requirement, true, errors);
}

fn operator(requirement: &View<'_>, any: bool, errors: &mut Errors) {
    let (operator, values) = (requirement.at("operator"), requirement.at("values"));
    match operator.str() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors.push(Error::forbidden(&values.path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ if any => {}
        _ => errors.push(operator.invalid("not a valid selector operator")),
    }
}
