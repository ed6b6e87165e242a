//! What nodes may and may not.

use meta::selector::Fields;
use serde_json::json;

use super::*;
use crate::identity;

fn object(value: serde_json::Value) -> Object {
    Object::from_value(value).expect("an object")
}

fn pod(name: &str, node: &str) -> Object {
    object(json!({
        "metadata": {"namespace": "ns", "name": name, "uid": name},
        "spec": {
            "nodeName": node,
            "serviceAccountName": "robot",
            "imagePullSecrets": [{"name": "pull"}],
            "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": format!("env-{name}")}}}],
                            "envFrom": [{"configMapRef": {"name": "from"}}]}],
            "volumes": [
                {"name": "t", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}},
                {"name": "c", "persistentVolumeClaim": {"claimName": format!("claim-{name}")}},
                {"name": "e", "ephemeral": {}},
            ],
        },
    }))
}

fn sample() -> Node {
    let node = Node::default();
    node.replace("", "pods", &[pod("a", "n1"), pod("b", "n2")]);
    let volume = json!({"metadata": {"name": "pv-a"}, "spec": {"claimRef": {"namespace": "ns", "name": "claim-a"},
        "csi": {"nodeStageSecretRef": {"namespace": "storage", "name": "stage"}}}});
    node.replace("", "persistentvolumes", &[object(volume)]);
    let attachment = json!({"metadata": {"name": "va"}, "spec": {"nodeName": "n1"}});
    node.replace("storage.k8s.io", "volumeattachments", &[object(attachment)]);
    node
}

/// `verb [group/]resource[:subresource] [namespace/]name`
fn request(node: &str, line: &str) -> Attributes {
    let words: Vec<&str> = line.split(' ').collect();
    let (group, rest) = words[1].split_once('/').unwrap_or(("", words[1]));
    let (resource, subresource) = rest.split_once(':').unwrap_or((rest, ""));
    let (namespace, name) = words[2].split_once('/').unwrap_or(("", words[2]));
    Attributes {
        user: identity::node(node),
        verb: words[0].into(),
        group: group.into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        name: name.into(),
        ..Attributes::default()
    }
}

#[test]
fn a_node_reads_what_its_pods_refer_to_and_nothing_else() {
    let authorizer = sample();
    let table = [
        ("get secrets ns/env-a", true, false),
        ("list secrets ns/env-b", false, true),
        ("get secrets ns/pull", true, true),
        ("get secrets ns/", false, false),
        ("update secrets ns/env-a", false, false),
        ("get secrets storage/stage", true, false),
        ("watch configmaps ns/from", true, true),
        ("get configmaps ns/kube-root-ca.crt", true, true),
        ("get configmaps other/kube-root-ca.crt", false, false),
        ("get persistentvolumeclaims ns/claim-a", true, false),
        ("get persistentvolumeclaims ns/b-e", false, true),
        ("patch persistentvolumeclaims:status ns/claim-a", true, false),
        ("get persistentvolumes pv-a", true, false),
        ("get storage.k8s.io/volumeattachments va", true, false),
        ("create serviceaccounts:token ns/robot", true, true),
        ("create serviceaccounts:token ns/other", false, false),
        ("get pods ns/a", true, false),
        ("list pods ns/", false, false),
        ("update pods:status ns/a", true, true),
        ("get nodes n1", true, false),
        ("list nodes ", false, false),
        ("patch nodes:status n1", true, true),
        ("delete nodes n1", false, false),
        ("update coordination.k8s.io/leases kube-node-lease/n1", true, false),
        ("update coordination.k8s.io/leases default/n1", false, false),
        ("create coordination.k8s.io/leases kube-node-lease/", true, true),
        ("get storage.k8s.io/csinodes n2", false, true),
        ("list services ", true, true),
        ("create events ns/", true, true),
        ("list rbac.authorization.k8s.io/roles ns/", false, false),
    ];
    for (line, first, second) in table {
        for (node, want) in [("n1", first), ("n2", second)] {
            let decision = authorizer.authorize(&request(node, line));
            assert_eq!(decision.allowed(), want, "{node}: {line}: {}", decision.reason);
        }
    }
}

#[test]
fn refusals_carry_upstream_s_reasons() {
    let authorizer = sample();
    let table = [
        ("get secrets ns/x", "no relationship found between node 'n1' and this object"),
        ("get secrets ns/", "No Object name found"),
        ("create secrets ns/x", "can only read resources of this type"),
        ("get nodes n2", "node 'n1' cannot read 'n2', only its own Node object"),
        ("list pods ", "can only list/watch pods with spec.nodeName field selector"),
    ];
    for (line, reason) in table {
        assert_eq!(&*authorizer.authorize(&request("n1", line)).reason, reason, "{line}");
    }
}

#[test]
fn a_field_selector_opens_the_list_of_pods() {
    let authorizer = sample();
    let mut list = request("n1", "list pods ");
    list.fields = Fields::parse("spec.nodeName=n1").expect("parses");
    assert!(authorizer.authorize(&list).allowed());
    list.fields = Fields::parse("spec.nodeName=n2").expect("parses");
    assert!(!authorizer.authorize(&list).allowed());
}

#[test]
fn access_ends_with_the_pod() {
    let authorizer = sample();
    let pull = request("n1", "get secrets ns/pull");
    authorizer.observe("", "pods", Event::Put(&pod("c", "n1")));
    authorizer.observe("", "pods", Event::Gone(&Key::new("ns", "a")));
    assert!(authorizer.authorize(&pull).allowed(), "pod c still needs it");
    authorizer.observe("", "pods", Event::Gone(&Key::new("ns", "c")));
    assert!(!authorizer.authorize(&pull).allowed());
    assert!(!authorizer.authorize(&request("n1", "get persistentvolumes pv-a")).allowed());
}

#[test]
fn a_mirror_pod_opens_nothing() {
    let authorizer = sample();
    let mut mirror = pod("m", "n3");
    mirror.set("metadata.annotations", json!({"kubernetes.io/config.mirror": "x"}));
    authorizer.observe("", "pods", Event::Put(&mirror));
    assert!(authorizer.authorize(&request("n3", "get pods ns/m")).allowed());
    assert!(!authorizer.authorize(&request("n3", "get secrets ns/pull")).allowed());
}
