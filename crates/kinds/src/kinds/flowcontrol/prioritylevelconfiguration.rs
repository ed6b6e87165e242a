//! PriorityLevelConfiguration: how many requests of a level run at once, and what becomes of the others.

use meta::field::{Error, Errors, Path};
use meta::Object;
use serde_json::{Value, json};

use super::{API_VERSION, EXEMPT, bootstrap, conditions, only_status, or_none};
use crate::Now;
use crate::descriptor::{CHANGE, Descriptor};
use crate::print::{AGE, NAME, text};
use crate::rules::{Column, Context, Rules, age};
use crate::tree::{child_mut, child_or_new, default_absent, default_zero, restore, same, same_at};
use crate::validate::own_metadata;
use crate::view::View;

/// The most queues.
const QUEUES: i64 = 10_000_000;
/// Bits of the hash that deals the hands.
const HASH: u32 = 60;
/// An annotation of an older version, which no object may have.
const KEEPS_ZERO: &str = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";

static COLUMNS: [Column; 7] = [
    NAME,
    text("Type", "Whether it has bounds"),
    text("NominalConcurrencyShares", "Its shares of the server's seats"),
    text("Queues", "How many queues it has"),
    text("HandSize", "How many of them one flow may use"),
    text("QueueLengthLimit", "How many requests may wait in one"),
    AGE,
];

struct PriorityLevelConfiguration;

/// What is served.
pub fn descriptor() -> Descriptor {
    let (kind, resource) = ("PriorityLevelConfiguration", "prioritylevelconfigurations");
    Descriptor::builtin(API_VERSION, kind, resource, PriorityLevelConfiguration).cluster_scoped().sub("status", CHANGE)
}

impl Rules for PriorityLevelConfiguration {
    fn default(&self, object: &mut Object) {
        let spec = child_or_new(object.fields_mut(), "spec");
        if let Some(exempt) = child_mut(spec, "exempt") {
            default_absent(exempt, "nominalConcurrencyShares", 0);
            default_absent(exempt, "lendablePercent", 0);
        }
        if let Some(limited) = child_mut(spec, "limited") {
            default_absent(limited, "nominalConcurrencyShares", 30);
            default_absent(limited, "lendablePercent", 0);
            if let Some(queuing) = child_mut(child_or_new(limited, "limitResponse"), "queuing") {
                default_zero(queuing, "queues", 64);
                default_zero(queuing, "handSize", 8);
                default_zero(queuing, "queueLengthLimit", 50);
            }
        }
        object.set_default("status", json!({}));
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        object.set("status", json!({}));
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        restore(new, old, "status");
    }

    fn prepare_subresource(&self, _subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        only_status(new, old);
    }

    fn kept_by_status(&self) -> &'static [&'static [&'static str]] {
        &[&["metadata"], &["spec"]]
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, new: &Object, old: &Object) -> bool {
        !same_at(new, old, "spec")
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        if object.annotation(KEEPS_ZERO).is_some() {
            let why = format!("annotation '{KEEPS_ZERO}' is forbidden");
            errors.push(Error::forbidden(&Path::new("metadata").child("annotations"), why));
        }
        let spec = View::of(object, "spec");
        specification(object.name(), &spec, &mut errors);
        mandatory(object.name(), &spec, &mut errors);
        conditions(object, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Object, _old: &Object) -> Errors {
        let mut errors = own_metadata(new, false, &|name, prefix| self.validate_name(name, prefix));
        errors.extend(self.validate(new));
        errors
    }

    fn validate_subresource(&self, _subresource: &str, new: &Object, _old: &Object) -> Errors {
        let mut errors = Errors::new();
        conditions(new, &mut errors);
        errors
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let number = |path: &str| or_none(object.i64_at(&format!("spec.limited.{path}")));
        vec![
            object.name().into(),
            object.str_at("spec.type").into(),
            number("nominalConcurrencyShares"),
            number("limitResponse.queuing.queues"),
            number("limitResponse.queuing.handSize"),
            number("limitResponse.queuing.queueLengthLimit"),
            age(object, now).into(),
        ]
    }
}

fn mandatory(name: &str, spec: &View<'_>, errors: &mut Errors) {
    let Some(fixed) = bootstrap::fixed("PriorityLevelConfiguration", name) else { return };
    if name == EXEMPT {
        let mut have = spec.value().cloned().unwrap_or_default();
        have["exempt"] = fixed["exempt"].clone();
        if !same("", Some(&have), Some(&fixed)) {
            let why = format!("spec of '{name}' except the 'spec.exempt' field must equal the fixed value");
            errors.push(spec.invalid(why));
        }
    } else if !same("spec", spec.value(), Some(&fixed)) {
        errors.push(spec.invalid(format!("spec of '{name}' must equal the fixed value")));
    }
}

fn specification(name: &str, spec: &View<'_>, errors: &mut Errors) {
    let (kind, exempt, limited) = (spec.at("type"), spec.at("exempt"), spec.at("limited"));
    if (name == EXEMPT) != (kind.str() == "Exempt") {
        errors.push(kind.invalid("must be 'Exempt' if and only if `name` is 'exempt'"));
    }
    match kind.str() {
        "Exempt" => {
            if limited.exists() {
                errors.push(limited.forbidden("must be nil if the type is not Limited"));
            }
            if exempt.exists() {
                shares(&exempt, errors);
                lendable(&exempt, errors);
            }
        }
        "Limited" => {
            if exempt.exists() {
                errors.push(exempt.forbidden("must be nil if the type is Limited"));
            }
            if limited.exists() { limits(&limited, errors) } else { errors.push(limited.required("must not be empty when type is Limited")) }
        }
        "" => errors.push(kind.required("")),
        _ => errors.push(kind.not_supported(&["Exempt", "Limited"])),
    }
}

fn shares(level: &View<'_>, errors: &mut Errors) {
    if level.number("nominalConcurrencyShares") < 0 {
        errors.push(level.at("nominalConcurrencyShares").invalid("must be a non-negative integer"));
    }
}

fn lendable(level: &View<'_>, errors: &mut Errors) {
    if !(0..=100).contains(&level.number("lendablePercent")) {
        errors.push(level.at("lendablePercent").invalid("must be between 0 and 100, inclusive"));
    }
}

fn limits(limited: &View<'_>, errors: &mut Errors) {
    shares(limited, errors);
    let response = limited.at("limitResponse");
    let (kind, queuing) = (response.at("type"), response.at("queuing"));
    match kind.str() {
        "Reject" if queuing.exists() => {
            errors.push(queuing.forbidden("must be nil if limited.limitResponse.type is not Limited"));
        }
        "Reject" => {}
        "Queue" if queuing.exists() => queues(&queuing, errors),
        "Queue" => errors.push(queuing.required("must not be empty if limited.limitResponse.type is Limited")),
        "" => errors.push(kind.required("")),
        _ => errors.push(kind.not_supported(&["Queue", "Reject"])),
    }
    lendable(limited, errors);
    if limited.number("borrowingLimitPercent") < 0 {
        let why = "if specified, must be a non-negative integer";
        errors.push(limited.at("borrowingLimitPercent").invalid(why));
    }
}

fn queues(queuing: &View<'_>, errors: &mut Errors) {
    let (queues, hand) = (queuing.number("queues"), queuing.number("handSize"));
    let mut wrong = |field: &str, detail: String| {
        errors.push(Error::invalid(&queuing.path.child(field), queuing.number(field), detail));
    };
    if queuing.number("queueLengthLimit") <= 0 {
        wrong("queueLengthLimit", "must be positive".to_owned());
    }
    if queues <= 0 {
        wrong("queues", "must be positive".to_owned());
    } else if queues > QUEUES {
        wrong("queues", format!("must not be greater than {QUEUES}"));
    }
    if hand <= 0 {
        wrong("handSize", "must be positive".to_owned());
    } else if hand > queues {
        wrong("handSize", format!("should not be greater than queues ({queues})"));
    } else if ((queues as f64).log2() * hand as f64).ceil() > f64::from(HASH) {
        let why = format!("required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH}");
        wrong("handSize", why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(name: &str, spec: Value) -> Vec<String> {
        let tree = json!({"kind": "PriorityLevelConfiguration", "metadata": {"name": name}, "spec": spec});
        let mut object = Object::from_value(tree).expect("object");
        PriorityLevelConfiguration.default(&mut object);
        PriorityLevelConfiguration.validate(&object).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_is_said_in_upstreams_words() {
        let queuing = |queuing: Value| json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}});
        assert_eq!(errors("a", queuing(json!({}))), [""; 0]);
        for (name, spec, message) in [
            ("a", queuing(json!({"queues": 128, "handSize": 9})), "required entropy bits of deckSize 128 and handSize 9 should not be greater than 60"),
            ("a", queuing(json!({"queues": 4, "handSize": 5})), "should not be greater than queues (4)"),
            ("a", queuing(json!({"queueLengthLimit": -1})), "must be positive"),
            ("a", json!({"type": "Limited"}), "must not be empty when type is Limited"),
            ("a", json!({"type": "Exempt"}), "must be 'Exempt' if and only if `name` is 'exempt'"),
            ("a", json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue"}}}), "must not be empty if limited"),
            ("a", json!({"type": "Limited", "limited": {"lendablePercent": 101, "limitResponse": {"type": "Reject"}}}), "between 0 and 100"),
            ("catch-all", json!({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}), "spec of 'catch-all' must equal the fixed value"),
            ("exempt", json!({"type": "Limited"}), "except the 'spec.exempt' field must equal the fixed value"),
        ] {
            let found = errors(name, spec);
            assert!(found.iter().any(|e| e.contains(message)), "{message}: {found:?}");
        }
        assert_eq!(errors(EXEMPT, json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 7}})), [""; 0]);
    }
}
