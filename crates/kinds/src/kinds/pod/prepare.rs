//! What the server does to a pod before it is stored (upstream: `pkg/registry/core/pod/strategy.go`).

use std::collections::HashMap;

use meta::Object;
use pod::qos;
use serde_json::{Value, json};

use crate::tree::{Fields, child_mut, each_mut, restore, restore_metadata_for_status};

/// A new pod is Pending, whatever the client says; of its status the class alone stays (upstream: `qos.GetPodQOS`).
pub(super) fn create(object: &mut Object) {
    let spec = object.at("spec").cloned().unwrap_or_default();
    let said = object.str_at("status.qosClass");
    let class = if said.is_empty() { qos::class(&spec) } else { said };
    let mut status = json!({"phase": "Pending", "qosClass": class});
    if !object.list_at("spec.schedulingGates").is_empty() {
        status["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastTransitionTime": object.str_at("metadata.creationTimestamp"),
        }]);
    }
    object.set("status", status);
    label_keys(object);
}

/// `matchLabelKeys` become requirements on the values that the pod itself has.
fn label_keys(object: &mut Object) {
    let labels: HashMap<String, String> = object.labels().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let Some(spec) = child_mut(object.fields_mut(), "spec") else { return };
    for constraint in each_mut(spec, "topologySpreadConstraints") {
        add_requirements(constraint, "matchLabelKeys", "In", &labels);
    }
    let Some(affinity) = child_mut(spec, "affinity") else { return };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = child_mut(affinity, kind) else { continue };
        for term in each_mut(affinity, "requiredDuringSchedulingIgnoredDuringExecution") {
            term_requirements(term, &labels);
        }
        for weighted in each_mut(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = child_mut(weighted, "podAffinityTerm") {
                term_requirements(term, &labels);
            }
        }
    }
}

fn term_requirements(term: &mut Fields, labels: &HashMap<String, String>) {
    add_requirements(term, "matchLabelKeys", "In", labels);
    add_requirements(term, "mismatchLabelKeys", "NotIn", labels);
}

fn add_requirements(owner: &mut Fields, keys: &str, operator: &str, labels: &HashMap<String, String>) {
    let keys = owner.get(keys).and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(selector) = child_mut(owner, "labelSelector") else { return };
    for key in keys.iter().filter_map(Value::as_str) {
        let Some(value) = labels.get(key) else { continue };
        let requirement = json!({"key": key, "operator": operator, "values": [value]});
        match selector.get_mut("matchExpressions").and_then(Value::as_array_mut) {
            Some(list) => list.push(requirement),
            None => drop(selector.insert("matchExpressions".to_owned(), json!([requirement]))),
        }
    }
}

/// Keeps `podIP` equal to the first of `podIPs`; the singular one wins.
pub(super) fn pod_ips(object: &mut Object) {
    let one = object.str_at("status.podIP").to_owned();
    let first =
        object.list_at("status.podIPs").first().and_then(|ip| ip.get("ip")).and_then(Value::as_str).unwrap_or("").to_owned();
    if !one.is_empty() && one != first {
        object.set("status.podIPs", json!([{ "ip": one }]));
    } else if one.is_empty() && !first.is_empty() {
        object.set("status.podIP", first);
    }
}

/// An update of the status keeps the specification, owners and what the writer did not know of.
pub(super) fn status(new: &mut Object, old: &Object) {
    restore(new, old, "spec");
    restore(new, old, "metadata.ownerReferences");
    restore(new, old, "metadata.deletionTimestamp");
    if new.str_at("status.qosClass").is_empty() {
        restore(new, old, "status.qosClass");
    }
    if new.i64_at("status.observedGeneration").unwrap_or(0) == 0 {
        restore(new, old, "status.observedGeneration");
    }
    let Some(status) = child_mut(new.fields_mut(), "status") else { return };
    let mut before: HashMap<&str, &Value> = HashMap::new();
    for condition in old.list_at("status.conditions") {
        before.entry(condition.get("type").and_then(Value::as_str).unwrap_or("")).or_insert(condition);
    }
    for condition in each_mut(status, "conditions") {
        if condition.get("observedGeneration").and_then(Value::as_i64).unwrap_or(0) != 0 {
            continue;
        }
        let same = before.get(condition.get("type").and_then(Value::as_str).unwrap_or(""));
        if let Some(generation) = same.and_then(|c| c.get("observedGeneration")).cloned() {
            condition.insert("observedGeneration".to_owned(), generation);
        }
    }
}

/// Only the list of ephemeral containers may change.
pub(super) fn ephemeral_containers(new: &mut Object, old: &Object) {
    let containers = new.remove("spec.ephemeralContainers");
    restore(new, old, "spec");
    restore(new, old, "status");
    restore_metadata_for_status(new, old);
    match containers {
        Some(containers) => new.set("spec.ephemeralContainers", containers),
        None => drop(new.remove("spec.ephemeralContainers")),
    }
}

/// Only resources and resize policies may change; a change of the list of containers is left for
/// validation to refuse.
pub(super) fn resize(new: &mut Object, old: &Object) {
    let lists = ["spec.containers", "spec.initContainers"];
    let names = |o: &Object, list: &str| o.list_at(list).iter().map(|c| c.get("name").cloned()).collect::<Vec<_>>();
    if lists.iter().any(|list| names(new, list) != names(old, list)) {
        return;
    }
    let merged = lists.map(|list| {
        let mut containers = old.list_at(list).to_vec();
        for (container, wanted) in containers.iter_mut().zip(new.list_at(list)) {
            let Some(container) = container.as_object_mut() else { continue };
            for field in ["resources", "resizePolicy"] {
                match wanted.get(field) {
                    Some(value) => drop(container.insert(field.to_owned(), value.clone())),
                    None => drop(container.remove(field)),
                }
            }
        }
        containers
    });
    let own = new.remove("spec.resources");
    restore(new, old, "spec");
    restore(new, old, "status");
    restore_metadata_for_status(new, old);
    for (list, containers) in lists.into_iter().zip(merged) {
        if !containers.is_empty() {
            new.set(list, containers);
        }
    }
    match own {
        Some(own) => new.set("spec.resources", own),
        None => drop(new.remove("spec.resources")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap_or_default()
    }

    #[test]
    fn a_new_pod_is_pending() {
        let mut pod =
            object(json!({"spec": {"containers": [{}], "schedulingGates": [{"name": "a"}]}, "status": {"phase": "Running"}}));
        create(&mut pod);
        assert_eq!(pod.str_at("status.phase"), "Pending");
        assert_eq!(pod.str_at("status.qosClass"), "BestEffort");
        assert_eq!(pod.list_at("status.conditions")[0]["reason"], "SchedulingGated");
        let mut said = object(json!({"spec": {"containers": [{}]}, "status": {"phase": "Running", "qosClass": "X"}}));
        create(&mut said);
        assert_eq!((said.str_at("status.phase"), said.str_at("status.qosClass")), ("Pending", "X"));
    }

    #[test]
    fn a_resize_changes_resources_alone() {
        let old = object(json!({"spec": {"containers": [{"name": "a", "image": "x"}]}}));
        let mut new =
            object(json!({"spec": {"containers": [{"name": "a", "image": "y", "resources": {"limits": {"cpu": "1"}}}]}}));
        resize(&mut new, &old);
        let want = json!({"spec": {"containers": [{"name": "a", "image": "x", "resources": {"limits": {"cpu": "1"}}}]}});
        assert_eq!(new.into_value(), want);
    }
}
