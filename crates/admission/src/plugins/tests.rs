//! Each plug-in by a table, through the list, as the pipeline runs it.

use std::collections::HashMap;

use async_trait::async_trait;
use auth::{Authorization, identity};
use meta::{Attributes, Gvk, Key, Object, Status, User};
use serde_json::{Value, json};

use super::*;
use crate::{Lookup, Operation, Warnings};

#[derive(Default)]
struct Objects(HashMap<(String, Key), Object>);

#[async_trait]
impl Lookup for Objects {
    async fn get(&self, _group: &str, resource: &str, key: &Key) -> Result<Option<Arc<Object>>, Status> {
        Ok(self.0.get(&(resource.to_owned(), key.clone())).cloned().map(Arc::new))
    }

    async fn list(&self, _group: &str, resource: &str, _namespace: Option<&str>) -> Result<Vec<Arc<Object>>, Status> {
        Ok(self.0.iter().filter(|((r, _), _)| r == resource).map(|(_, o)| Arc::new(o.clone())).collect())
    }
}

fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

fn objects(list: &[(&str, Value)]) -> Objects {
    let entry = |(resource, value): &(&str, Value)| {
        let object = object(value.clone());
        (((*resource).to_owned(), object.key()), object)
    };
    Objects(list.iter().map(entry).collect())
}

fn cluster() -> Objects {
    objects(&[
        ("namespaces", json!({"metadata": {"name": "ns"}, "status": {"phase": "Active"}})),
        ("namespaces", json!({"metadata": {"name": "going"}, "status": {"phase": "Terminating"}})),
        ("namespaces", json!({"metadata": {"name": "kube-node-lease"}})),
        (
            "serviceaccounts",
            json!({"metadata": {"namespace": "ns", "name": "default"}, "imagePullSecrets": [{"name": "pull"}]}),
        ),
        (
            "serviceaccounts",
            json!({"metadata": {"namespace": "ns", "name": "silent"}, "automountServiceAccountToken": false}),
        ),
        ("priorityclasses", json!({"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"})),
        ("runtimeclasses", json!({"metadata": {"name": "plain"}, "handler": "a"})),
        ("runtimeclasses", json!({"metadata": {"name": "dear"}, "handler": "a", "overhead": {"podFixed": {"cpu": "10m"}},
            "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]}})),
        ("nodes", json!({"metadata": {"name": "n1", "uid": "u1"}})),
        (
            "pods",
            json!({"metadata": {"namespace": "ns", "name": "mine", "uid": "p1"}, "spec": {"nodeName": "n1",
            "volumes": [{"projected": {"sources": [{"serviceAccountToken": {"audience": "vault"}}]}}]}}),
        ),
        ("pods", json!({"metadata": {"namespace": "ns", "name": "theirs", "uid": "p2"}, "spec": {"nodeName": "n2"}})),
    ])
}

/// A request in one line: `create|update|delete [group/]resource[/sub] [namespace/]name`, a dot separating
/// core groups' absence: `rbac.authorization.k8s.io|roles`.
struct Case {
    user: User,
    line: &'static str,
    new: Option<Value>,
    old: Option<Value>,
}

async fn run(case: Case, lookup: &Objects, authorization: &Arc<Authorization>) -> Result<Object, String> {
    let words: Vec<&str> = case.line.split(' ').collect();
    let operation = match words[0] {
        "create" => Operation::Create,
        "update" => Operation::Update,
        _ => Operation::Delete,
    };
    let (group, rest) = words[1].split_once('|').unwrap_or(("", words[1]));
    let (resource, subresource) = rest.split_once('/').unwrap_or((rest, ""));
    let (namespace, name) = words[2].split_once('/').unwrap_or(("", words[2]));
    let attributes = Attributes {
        user: case.user,
        verb: words[0].into(),
        group: group.into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        name: name.into(),
        ..Attributes::default()
    };
    let mut new = case.new.map(object);
    let old = case.old.map(object);
    if let Some(new) = new.as_mut() {
        new.set_default("metadata.name", name);
        new.set_default("metadata.namespace", namespace);
    }
    let gvk = Gvk::new(group, "v1", "Kind");
    let context = Context { authorization: authorization.clone(), pod_security: Arc::default() };
    let mut request = Request {
        attributes: &attributes,
        gvk: &gvk,
        operation,
        object: new.as_mut(),
        old: old.as_ref(),
        dry_run: false,
        warnings: Warnings::default(),
    };
    for plugin in all(&context) {
        plugin.mutate(&mut request, lookup).await.map_err(|s| s.message)?;
    }
    for plugin in all(&context) {
        plugin.validate(&request, lookup).await.map_err(|s| s.message)?;
    }
    Ok(new.unwrap_or_default())
}

fn admin() -> User {
    User::new("admin", &["system:masters"])
}

async fn as_admin(line: &'static str, new: Value) -> Result<Object, String> {
    run(Case { user: admin(), line, new: Some(new), old: None }, &cluster(), &Arc::default()).await
}

#[tokio::test]
async fn a_pod_comes_out_complete() {
    let pod = json!({"spec": {"containers": [{"name": "c"}, {"name": "d", "volumeMounts": [
        {"name": "own", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]}]}});
    let pod = as_admin("create pods ns/p", pod).await.expect("admitted");
    assert_eq!(pod.str_at("spec.serviceAccountName"), "default");
    assert_eq!(pod.list_at("spec.imagePullSecrets"), [json!({"name": "pull"})]);
    assert_eq!((pod.i64_at("spec.priority"), pod.str_at("spec.preemptionPolicy")), (Some(0), "PreemptLowerPriority"));
    let seconds = |n: usize| pod.list_at("spec.tolerations")[n]["tolerationSeconds"].as_i64();
    assert_eq!((seconds(0), seconds(1)), (Some(300), Some(300)));
    let volume = &pod.list_at("spec.volumes")[0];
    let name = volume["name"].as_str().expect("a name");
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    assert_eq!(volume["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"], 3607);
    let mounts = |n: usize| pod.list_at("spec.containers")[n]["volumeMounts"].as_array().expect("mounts").clone();
    assert_eq!(mounts(0)[0]["name"], name);
    assert_eq!(mounts(1).len(), 1, "a mount of its own at the path stays alone");
}

#[tokio::test]
async fn a_pod_s_wishes_count() {
    let pod = json!({"spec": {"serviceAccountName": "silent", "priorityClassName": "high", "containers": [{"name": "c"}],
        "tolerations": [{"operator": "Exists"}]}});
    let pod = as_admin("create pods ns/p", pod).await.expect("admitted");
    assert!(pod.at("spec.volumes").is_none());
    assert_eq!((pod.i64_at("spec.priority"), pod.str_at("spec.preemptionPolicy")), (Some(1000), "Never"));
    assert_eq!(pod.list_at("spec.tolerations").len(), 1);
}

#[tokio::test]
async fn a_class_of_runtime_says_what_a_pod_costs_and_where_it_can_run() {
    let given = json!({"spec": {"runtimeClassName": "dear", "nodeSelector": {"disk": "ssd"}}});
    let pod = as_admin("create pods ns/p", given).await.expect("admitted");
    assert_eq!(pod.at("spec.overhead"), Some(&json!({"cpu": "10m"})));
    assert_eq!(pod.at("spec.nodeSelector"), Some(&json!({"disk": "ssd", "vm": "yes"})));
    assert_eq!(pod.list_at("spec.tolerations")[2], json!({"key": "vm", "operator": "Exists"}));
    let same = json!({"spec": {"runtimeClassName": "dear", "overhead": {"cpu": "0.01"}}});
    assert_eq!(as_admin("create pods ns/p", same).await.expect("admitted").str_at("spec.overhead.cpu"), "10m");
    let plain = as_admin("create pods ns/p", json!({"spec": {"runtimeClassName": "plain"}})).await.expect("admitted");
    assert!(plain.at("spec.overhead").is_none() && plain.at("spec.nodeSelector").is_none());
    // What a pod is, its class no longer changes.
    let old = json!({"spec": {"runtimeClassName": "gone", "overhead": {"cpu": "1"}}});
    let update = Case { user: admin(), line: "update pods ns/p", new: Some(old.clone()), old: Some(old) };
    assert!(run(update, &cluster(), &Arc::default()).await.is_ok());
}

#[tokio::test]
async fn refusals_read_as_upstream() {
    let table = [
        ("create configmaps absent/a", json!({}), r#"namespaces "absent" not found"#),
        (
            "create configmaps going/a",
            json!({}),
            r#"configmaps "a" is forbidden: unable to create new content in namespace going because it is being terminated"#,
        ),
        (
            "create pods ns/p",
            json!({"spec": {"serviceAccountName": "x"}}),
            r#"pods "p" is forbidden: error looking up service account ns/x: serviceaccount "x" not found"#,
        ),
        (
            "create pods ns/p",
            json!({"spec": {"priorityClassName": "x"}}),
            r#"pods "p" is forbidden: no PriorityClass with name x was found"#,
        ),
        (
            "create pods ns/p",
            json!({"spec": {"priorityClassName": "high", "priority": 7}}),
            r#"pods "p" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name"#,
        ),
        (
            "create pods ns/p",
            json!({"metadata": {"annotations": {MIRROR_POD: "x"}}, "spec": {"serviceAccountName": "silent"}}),
            r#"pods "p" is forbidden: a mirror pod may not reference service accounts"#,
        ),
        ("create pods ns/p", json!({"spec": {"runtimeClassName": "x"}}), r#"pods "p" is forbidden: pod rejected: RuntimeClass "x" not found"#),
        (
            "create pods ns/p",
            json!({"spec": {"overhead": {"cpu": "1"}}}),
            r#"pods "p" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"#,
        ),
        (
            "create pods ns/p",
            json!({"spec": {"runtimeClassName": "dear", "overhead": {"cpu": "1"}}}),
            r#"pods "p" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"#,
        ),
        (
            "create pods ns/p",
            json!({"spec": {"runtimeClassName": "dear", "nodeSelector": {"vm": "no"}}}),
            r#"pods "p" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no"#,
        ),
    ];
    for (line, new, message) in table {
        assert_eq!(as_admin(line, new).await.expect_err(line), message);
    }
    let delete = |line| Case { user: admin(), line, new: None, old: None };
    let refused = run(delete("delete namespaces kube-system"), &cluster(), &Arc::default()).await;
    assert_eq!(
        refused.expect_err("refused"),
        r#"namespaces "kube-system" is forbidden: this namespace may not be deleted"#
    );
    assert!(run(delete("delete namespaces ns"), &cluster(), &Arc::default()).await.is_ok());
    assert!(run(delete("delete configmaps going/a"), &cluster(), &Arc::default()).await.is_ok());
}

#[tokio::test]
async fn new_nodes_are_tainted_once() {
    let node = as_admin("create nodes n9", json!({})).await.expect("admitted");
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    assert_eq!(node.list_at("spec.taints"), std::slice::from_ref(&taint));
    let node = as_admin("create nodes n9", json!({"spec": {"taints": [taint]}})).await.expect("admitted");
    assert_eq!(node.list_at("spec.taints").len(), 1);
}

#[tokio::test]
async fn a_kubelet_writes_its_own_alone() {
    let token = |pod: &str, uid: &str, audience: &str| {
        let audiences = if audience.is_empty() { json!([]) } else { json!([audience]) };
        json!({"spec": {"audiences": audiences, "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}}})
    };
    let labels = |key: &str| json!({"metadata": {"labels": {key: "x"}}});
    let bound = |node: &str| json!({"metadata": {"namespace": "ns", "name": "mine"}, "spec": {"nodeName": node}});
    let table: Vec<(&'static str, Option<Value>, Option<Value>, &str)> = vec![
        ("update nodes n1", Some(json!({})), Some(json!({})), ""),
        ("update nodes n2", Some(json!({})), Some(json!({})), r#"node "n1" is not allowed to modify node "n2""#),
        (
            "update nodes n1",
            Some(json!({"spec": {"taints": [{"key": "a"}]}})),
            Some(json!({})),
            r#"node "n1" is not allowed to modify taints"#,
        ),
        ("update nodes n1", Some(labels("team")), Some(json!({})), ""),
        ("update nodes n1", Some(labels("kubernetes.io/hostname")), Some(json!({})), ""),
        ("update nodes n1", Some(labels("a.node.kubernetes.io/x")), Some(json!({})), ""),
        (
            "update nodes n1",
            Some(labels("node-restriction.kubernetes.io/x")),
            Some(json!({})),
            "is not allowed to modify labels: node-restriction.kubernetes.io/x",
        ),
        (
            "create nodes n1",
            Some(labels("node-role.kubernetes.io/master")),
            None,
            r#"node "n1" is not allowed to set the following labels: node-role.kubernetes.io/master"#,
        ),
        ("update pods/status ns/mine", Some(bound("n1")), Some(bound("n1")), ""),
        (
            "update pods/status ns/mine",
            Some(bound("n1")),
            Some(bound("n2")),
            r#"node "n1" can only update pod status for pods with spec.nodeName set to itself"#,
        ),
        ("delete pods ns/mine", None, None, ""),
        ("delete pods ns/theirs", None, None, r#"node "n1" can only delete pods with spec.nodeName set to itself"#),
        (
            "create pods/eviction ns/theirs",
            Some(json!({})),
            None,
            "node n1 can only evict pods with spec.nodeName set to itself",
        ),
        ("create coordination.k8s.io|leases kube-node-lease/n1", Some(json!({})), None, ""),
        (
            "create coordination.k8s.io|leases kube-node-lease/n2",
            Some(json!({})),
            None,
            "can only access node lease with the same name as the requesting node",
        ),
        ("create serviceaccounts/token ns/a", Some(token("mine", "p1", "vault")), None, ""),
        (
            "create serviceaccounts/token ns/a",
            Some(token("mine", "p1", "other")),
            None,
            r#"audience "other" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience"#,
        ),
        (
            "create serviceaccounts/token ns/a",
            Some(token("mine", "", "vault")),
            None,
            "node requested token with a pod binding without a uid",
        ),
        (
            "create serviceaccounts/token ns/a",
            Some(token("theirs", "p2", "vault")),
            None,
            "node requested token bound to a pod scheduled on a different node",
        ),
        ("create serviceaccounts/token ns/a", Some(json!({})), None, "node requested token not bound to a pod"),
    ];
    for (line, new, old, why) in table {
        let result = run(Case { user: identity::node("n1"), line, new, old }, &cluster(), &Arc::default()).await;
        match result {
            Ok(_) => assert_eq!("", why, "{line} was admitted"),
            Err(message) => {
                assert!(!why.is_empty() && message.ends_with(&format!("is forbidden: {why}")), "{line}: {message}")
            }
        }
    }
}

#[tokio::test]
async fn a_kubelet_creates_mirror_pods_of_itself() {
    let mirror = |owner: Value, spec: Value| json!({"metadata": {"annotations": {MIRROR_POD: "x"}, "ownerReferences": [owner]}, "spec": spec});
    let owner = |uid: &str| json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": true});
    let table = [
        (mirror(owner("u1"), json!({"nodeName": "n1"})), ""),
        (mirror(owner("old"), json!({"nodeName": "n1"})), "node n1 UID mismatch: expected old got u1"),
        (
            mirror(owner("u1"), json!({"nodeName": "n2"})),
            r#"node "n1" can only create pods with spec.nodeName set to itself"#,
        ),
        (
            mirror(owner("u1"), json!({"nodeName": "n1", "volumes": [{"configMap": {"name": "c"}}]})),
            r#"node "n1" can not create pods that reference configmaps"#,
        ),
        (
            json!({"spec": {"nodeName": "n1"}}),
            r#"pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods"#,
        ),
    ];
    for (new, why) in table {
        let case = Case { user: identity::node("n1"), line: "create pods ns/static-n1", new: Some(new), old: None };
        match run(case, &cluster(), &Arc::default()).await {
            Ok(_) => assert_eq!("", why),
            Err(message) => assert!(!why.is_empty() && message.ends_with(why), "{message}"),
        }
    }
}

#[tokio::test]
async fn nobody_grants_more_than_they_hold() {
    const ROLES: &str = "create rbac.authorization.k8s.io|roles ns/r";
    const BINDINGS: &str = "create rbac.authorization.k8s.io|rolebindings ns/b";
    let rules = |verb: &str| json!([{"verbs": [verb], "apiGroups": [""], "resources": ["pods"]}]);
    let authorization: Arc<Authorization> = Arc::default();
    let named = |name: &str, rules: Value| object(json!({"metadata": {"name": name}, "rules": rules}));
    let may_bind = json!([{"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["deleter"]}]);
    let roles = [named("getter", rules("get")), named("deleter", rules("delete")), named("binder", may_bind)];
    authorization.replace("rbac.authorization.k8s.io", "clusterroles", &roles);
    let bind = |name: &str, user: &str, role: &str| {
        object(
            json!({"metadata": {"name": name}, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "User", "name": user}]}),
        )
    };
    let bindings = [bind("1", "ann", "getter"), bind("2", "bea", "binder")];
    authorization.replace("rbac.authorization.k8s.io", "clusterrolebindings", &bindings);
    let to =
        |role: &str| json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}});
    let not_held = |verb: &str| {
        format!(
            "is attempting to grant RBAC permissions not currently held:\n{{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[{verb:?}]}}"
        )
    };
    let table = [
        ("ann", ROLES, json!({"rules": rules("get")}), String::new()),
        ("ann", ROLES, json!({"rules": rules("delete")}), not_held("delete")),
        ("ann", BINDINGS, to("getter"), String::new()),
        ("ann", BINDINGS, to("deleter"), not_held("delete")),
        ("ann", BINDINGS, to("absent"), r#"clusterrole.rbac.authorization.k8s.io "absent" not found"#.to_owned()),
        ("bea", BINDINGS, to("deleter"), String::new()),
        ("bea", BINDINGS, to("getter"), not_held("get")),
    ];
    for (user, line, new, why) in table {
        let case = Case { user: User::new(user, &[]), line, new: Some(new), old: None };
        match run(case, &cluster(), &authorization).await {
            Ok(_) => assert_eq!("", why, "{user} {line}"),
            Err(message) => assert!(!why.is_empty() && message.ends_with(&why), "{user} {line}: {message}"),
        }
    }
}
