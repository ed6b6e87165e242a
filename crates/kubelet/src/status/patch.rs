//! The smallest strategic-merge patch that leads from one status to another.
//!
//! Conditions are merged by type, so that those of other writers are never touched.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Map, Value, json};

use super::conditions::{DISRUPTION, OWNED, RESIZE};
use crate::spec;

/// Fields that others write.
const FOREIGN: [&str; 6] = [
    "nominatedNodeName", "resize", "resourceClaimStatuses", "extendedResourceClaimStatus", "allocatedResources",
    "resources",
];

/// The patch, or `None` when nothing would change.
pub fn patch(pod: &Pod, status: &PodStatus) -> Option<Value> {
    let old = as_map(spec::status(pod));
    let new = as_map(status);
    let mut changes = Map::new();
    for (key, value) in &new {
        if FOREIGN.contains(&key.as_str()) || old.get(key) == Some(value) {
            continue;
        }
        match key.as_str() {
            "conditions" => {
                let changed = conditions(old.get(key), value);
                if !changed.is_empty() {
                    changes.insert(key.clone(), Value::Array(changed));
                }
            }
            "podIPs" | "hostIPs" => {
                let mut list = value.as_array().cloned().unwrap_or_default();
                if old.contains_key(key) {
                    list.push(json!({"$patch": "replace"}));
                }
                changes.insert(key.clone(), Value::Array(list));
            }
            _ => {
                changes.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|k| !new.contains_key(*k) && !FOREIGN.contains(&k.as_str())) {
        changes.insert(key.clone(), Value::Null);
    }
    (!changes.is_empty()).then(|| json!({"metadata": {"uid": spec::uid(pod)}, "status": changes}))
}

/// Own conditions that differ; a cleared reason or message is said with null.
fn conditions(old: Option<&Value>, new: &Value) -> Vec<Value> {
    let by_type = |list: Option<&Value>, type_: &str| {
        list.and_then(Value::as_array).and_then(|l| l.iter().find(|c| c["type"] == type_)).cloned()
    };
    let mut changed = Vec::new();
    for type_ in OWNED.into_iter().chain(RESIZE).chain([DISRUPTION]) {
        let (before, after) = (by_type(old, type_), by_type(Some(new), type_));
        if before.is_some() && after.is_none() {
            changed.push(json!({"type": type_, "$patch": "delete"}));
        }
        let Some(Value::Object(mut after)) = after.filter(|a| Some(a) != before.as_ref()) else { continue };
        for key in before.as_ref().and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            after.entry(key.clone()).or_insert(Value::Null);
        }
        after.entry("lastProbeTime").or_insert(Value::Null);
        changed.push(Value::Object(after));
    }
    changed
}

fn as_map(status: &PodStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
