//! Hard rules of pods whose plug-ins are not here yet. Who writes one relies on it: where it cannot be kept, the pod
//! waits, and its event names the field. Preferences of the same plug-ins do no harm when they are not looked at.

use k8s_openapi::api::core::v1::PodSpec;

use super::{Filter, Rejection};
use crate::snapshot::{NodeInfo, PodInfo};

/// Pods that the pod must be, or must not be, beside.
pub(super) const INTER_POD_AFFINITY: Filter =
    Filter { name: "InterPodAffinity", check: |pod, _| refuse(affinity(pod)), reads: |pod, parts| parts.add(&affinity(pod)), helped_by: &[] };

/// How even its like must be spread.
pub(super) const POD_TOPOLOGY_SPREAD: Filter =
    Filter { name: "PodTopologySpread", check: |pod, _| refuse(spread(pod)), reads: |pod, parts| parts.add(&spread(pod)), helped_by: &[] };

/// Devices that it must have.
pub(super) const DYNAMIC_RESOURCES: Filter =
    Filter { name: "DynamicResources", check: |pod, _: &NodeInfo| refuse(claims(pod)), reads: |pod, parts| parts.add(&claims(pod)), helped_by: &[] };

fn refuse(field: Option<&'static str>) -> Result<(), Rejection> {
    match field {
        None => Ok(()),
        Some(field) => Err(Rejection::hard(format!("node(s) cannot be checked for spec.{field}, which this scheduler does not know"))),
    }
}

fn spec(pod: &PodInfo) -> Option<&PodSpec> {
    pod.pod.spec.as_ref()
}

fn affinity(pod: &PodInfo) -> Option<&'static str> {
    let affinity = spec(pod)?.affinity.as_ref()?;
    let together = affinity.pod_affinity.as_ref().and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    let apart = affinity.pod_anti_affinity.as_ref().and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    match (together.is_some_and(|terms| !terms.is_empty()), apart.is_some_and(|terms| !terms.is_empty())) {
        (true, _) => Some("affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution"),
        (false, true) => Some("affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"),
        (false, false) => None,
    }
}

fn spread(pod: &PodInfo) -> Option<&'static str> {
    let mut constraints = spec(pod)?.topology_spread_constraints.iter().flatten();
    constraints.any(|c| c.when_unsatisfiable == "DoNotSchedule").then_some("topologySpreadConstraints")
}

fn claims(pod: &PodInfo) -> Option<&'static str> {
    spec(pod)?.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()).then_some("resourceClaims")
}

#[cfg(test)]
mod tests {
    use crate::cycle::{Decision, schedule};
    use crate::samples::{cluster, node, pod};
    use serde_json::{Value, json};

    /// The message of the event, or nothing where the pod is bound.
    fn message(more: Value) -> String {
        match schedule(&pod("1", more), &cluster(&[node("n1", "4", json!({}), json!({}))]), 0) {
            Decision::Unschedulable { message, .. } => message,
            Decision::Node(_) => String::new(),
        }
    }

    #[test]
    fn hard_rules_that_nobody_can_keep_leave_the_pod_pending_and_name_the_field() {
        let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}});
        for kind in ["podAffinity", "podAntiAffinity"] {
            let hard = json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
            let text = message(hard);
            assert!(text.contains(&format!("1 node(s) cannot be checked for spec.affinity.{kind}.required")), "{text}");
            let soft = json!({"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]}}});
            assert_eq!(message(soft), "");
        }
        let spread = |then: &str| message(json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": then}]}));
        assert!(spread("DoNotSchedule").contains("spec.topologySpreadConstraints"));
        assert_eq!(spread("ScheduleAnyway"), "");
        assert!(message(json!({"resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}]})).contains("spec.resourceClaims"));
    }
}
