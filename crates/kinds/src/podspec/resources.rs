//! Lists of resources: their canonical form, and defaults among them.

use meta::Quantity;
use pod::resources::{Side, is_of_whole, of_containers};
use serde_json::{Map, Value};

use crate::tree::{Fields, child_mut, child_or_new};

/// Writes each quantity in its canonical form, rounded up to thousandths.
pub fn canonical(list: &mut Fields) {
    for value in list.values_mut() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        let (Ok(quantity), Ok(printed)) = (Quantity::parse(&text), Quantity::printed(&text)) else { continue };
        let rounded = Quantity::from_milli(quantity.milli_value(), quantity.format());
        let exact = quantity.milli_value() == i64::MAX || rounded == quantity;
        *value = if exact { printed } else { rounded.to_string() }.into();
    }
}

/// The same for `limits` and `requests`.
pub fn canonical_both(resources: &mut Fields) {
    for name in ["limits", "requests"] {
        if let Some(list) = child_mut(resources, name) {
            canonical(list);
        }
    }
}

/// A container that has a limit and no request for a resource requests the limit.
pub fn requests_from_limits(container: &mut Fields) {
    let Some(resources) = child_mut(container, "resources") else { return };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    if limits.is_empty() {
        return;
    }
    let requests = child_or_new(resources, "requests");
    for (name, value) in limits {
        requests.entry(name).or_insert(value);
    }
}

/// Requests and huge-page limits of a pod that has resources of its own.
pub fn pod_level(spec: &mut Fields) {
    let Some(own) = spec.get("resources").and_then(Value::as_object) else { return };
    let empty = Map::new();
    let list = |name: &str| own.get(name).and_then(Value::as_object).unwrap_or(&empty).clone();
    let (mut limits, mut requests) = (list("limits"), list("requests"));
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    let whole = Value::Object(spec.clone());
    for (name, amount) in of_containers(&whole, Side::Limits) {
        if name.starts_with("hugepages-") && !requests.contains_key(&name) && !limits.contains_key(&name) {
            limits.insert(name, amount.to_string().into());
        }
    }
    if !limits.is_empty() {
        for (name, amount) in of_containers(&whole, Side::Requests) {
            if matches!(name.as_str(), "cpu" | "memory") && !requests.contains_key(&name) {
                requests.insert(name, amount.to_string().into());
            }
        }
        for (name, value) in &limits {
            if is_of_whole(name) && !requests.contains_key(name) {
                requests.insert(name.clone(), value.clone());
            }
        }
    }
    let own = child_or_new(spec, "resources");
    for (name, list) in [("limits", limits), ("requests", requests)] {
        if !list.is_empty() {
            own.insert(name.to_owned(), Value::Object(list));
        }
    }
}
