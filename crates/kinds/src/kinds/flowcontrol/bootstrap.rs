//! The configuration that every cluster has (upstream: `apiserver/pkg/apis/flowcontrol/bootstrap`). Two levels and two
//! schemas are mandatory: they are always there, and always the same. The others are suggested: an administrator may change
//! them.

use meta::Object;
use serde_json::{Value, json};

use super::{API_VERSION, CATCH_ALL, EXEMPT};

/// `true`: the server keeps the specification as it is here.
pub const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";

/// A level with queues: its name, shares, lendable percent, number of queues, hand size.
const LEVELS: &[(&str, u32, u32, u32, u32)] = &[
    ("system", 30, 33, 64, 6),
    ("node-high", 40, 25, 64, 6),
    ("leader-election", 10, 0, 16, 4),
    ("workload-high", 40, 50, 128, 6),
    ("workload-low", 100, 90, 128, 6),
    ("global-default", 20, 50, 128, 6),
];

const EVERYBODY: &[&str] = &["system:unauthenticated", "system:authenticated"];
const BY_USER: Option<&str> = Some("ByUser");
const BY_NAMESPACE: Option<&str> = Some("ByNamespace");

/// The levels that must be.
pub fn mandatory_levels() -> Vec<Object> {
    let exempt = json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}});
    let rest = json!({"type": "Limited", "limited": {
        "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}});
    vec![level(EXEMPT, exempt), level(CATCH_ALL, rest)]
}

/// The levels that are suggested.
pub fn suggested_levels() -> Vec<Object> {
    let queued = |(name, shares, lendable, queues, hand): &(&str, u32, u32, u32, u32)| {
        let queuing = json!({"queues": queues, "handSize": hand, "queueLengthLimit": 50});
        let response = json!({"type": "Queue", "queuing": queuing});
        let limited =
            json!({"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response});
        level(name, json!({"type": "Limited", "limited": limited}))
    };
    LEVELS.iter().map(queued).collect()
}

/// The schemas that must be.
pub fn mandatory_schemas() -> Vec<Object> {
    vec![
        schema(EXEMPT, EXEMPT, 1, None, everything(groups(&["system:masters"]))),
        schema(CATCH_ALL, CATCH_ALL, 10_000, BY_USER, everything(groups(EVERYBODY))),
    ]
}

/// The schemas that are suggested.
pub fn suggested_schemas() -> Vec<Object> {
    let nodes = || groups(&["system:nodes"]);
    let in_kube_system =
        || json!([{"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "kube-system"}}]);
    let mut electors = users(&["system:kube-controller-manager", "system:kube-scheduler"]);
    if let (Some(list), Some(more)) = (electors.as_array_mut(), in_kube_system().as_array()) {
        list.extend(more.iter().cloned());
    }
    let leases = |verbs: &[&str]| resources(verbs, "coordination.k8s.io", &["leases"], false);
    let status = resources(&["*"], "", &["nodes", "nodes/status"], true);
    let probes = json!([{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]);
    let rule = |subjects: Value, resources: Vec<Value>| json!({"subjects": subjects, "resourceRules": resources});
    vec![
        schema("system-nodes", "system", 500, BY_USER, everything(nodes())),
        schema("system-node-high", "node-high", 400, BY_USER, rule(nodes(), vec![status, leases(&["*"])])),
        schema("probes", EXEMPT, 2, None, json!({"subjects": groups(EVERYBODY), "nonResourceRules": probes})),
        schema(
            "system-leader-election",
            "leader-election",
            100,
            BY_USER,
            rule(electors, vec![leases(&["get", "create", "update"])]),
        ),
        schema("kube-controller-manager", "workload-high", 800, BY_NAMESPACE, everything(users(&["system:kube-controller-manager"]))),
        schema("kube-scheduler", "workload-high", 800, BY_NAMESPACE, everything(users(&["system:kube-scheduler"]))),
        schema("kube-system-service-accounts", "workload-high", 900, BY_NAMESPACE, everything(in_kube_system())),
        schema("service-accounts", "workload-low", 9000, BY_USER, everything(groups(&["system:serviceaccounts"]))),
        schema("global-default", "global-default", 9900, BY_USER, everything(groups(EVERYBODY))),
    ]
}

/// The specification that an object of that kind and name must have, if it is a mandatory one.
pub(super) fn fixed(kind: &str, name: &str) -> Option<Value> {
    if ![EXEMPT, CATCH_ALL].contains(&name) {
        return None;
    }
    let all = if kind == "FlowSchema" { mandatory_schemas() } else { mandatory_levels() };
    all.into_iter().find(|object| object.name() == name).and_then(|mut object| object.remove("spec"))
}

fn level(name: &str, spec: Value) -> Object {
    object("PriorityLevelConfiguration", name, spec)
}

fn schema(name: &str, level: &str, precedence: u32, distinguisher: Option<&str>, rule: Value) -> Object {
    let mut spec = json!({
        "priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule],
    });
    if let Some(method) = distinguisher {
        spec["distinguisherMethod"] = json!({"type": method});
    }
    object("FlowSchema", name, spec)
}

fn object(kind: &str, name: &str, spec: Value) -> Object {
    let metadata = json!({"name": name, "annotations": {AUTO_UPDATE: "true"}});
    let tree = json!({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec});
    Object::from_value(tree).unwrap_or_else(|_| unreachable!("the literal above is an object"))
}

fn groups(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"kind": "Group", "group": {"name": name}})).collect()
}

fn users(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"kind": "User", "user": {"name": name}})).collect()
}

fn resources(verbs: &[&str], group: &str, resources: &[&str], cluster: bool) -> Value {
    let mut rule = json!({"verbs": verbs, "apiGroups": [group], "resources": resources, "namespaces": ["*"]});
    if cluster {
        rule["clusterScope"] = true.into();
    }
    rule
}

fn everything(subjects: Value) -> Value {
    json!({
        "subjects": subjects,
        "resourceRules": [resources(&["*"], "*", &["*"], true)],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_are_valid_and_each_schema_has_its_level() {
        let levels: Vec<Object> = mandatory_levels().into_iter().chain(suggested_levels()).collect();
        let schemas: Vec<Object> = mandatory_schemas().into_iter().chain(suggested_schemas()).collect();
        let names: HashSet<&str> = levels.iter().map(Object::name).collect();
        assert!(schemas.iter().all(|s| names.contains(s.str_at("spec.priorityLevelConfiguration.name"))));
        assert_eq!((levels.len(), schemas.len()), (8, 11));
        let kinds = crate::all();
        for object in levels.iter().chain(&schemas) {
            let kind = kinds.iter().find(|kind| *kind.gvk.kind == *object.kind()).expect("is served");
            let mut same = object.clone();
            kind.rules.default(&mut same);
            assert_eq!(same.at("spec"), object.at("spec"), "complete as it is");
            let errors: Vec<String> = kind.rules.validate(object).iter().map(ToString::to_string).collect();
            assert_eq!(errors, [""; 0], "{}", object.name());
        }
    }
}
