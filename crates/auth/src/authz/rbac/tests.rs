//! Who is allowed what, and in which words others are refused.

use meta::{Attributes, Object, User};
use serde_json::json;

use super::*;

fn object(value: serde_json::Value) -> Object {
    Object::from_value(value).expect("an object")
}

fn role(namespace: &str, name: &str, rules: serde_json::Value) -> Object {
    object(json!({"metadata": {"namespace": namespace, "name": name}, "rules": rules}))
}

fn binding(namespace: &str, name: &str, role: (&str, &str), subject: serde_json::Value) -> Object {
    object(json!({
        "metadata": {"namespace": namespace, "name": name},
        "roleRef": {"kind": role.0, "name": role.1}, "subjects": [subject],
    }))
}

fn request(user: &User, verb: &str, resource: &str, namespace: &str) -> Attributes {
    Attributes {
        user: user.clone(),
        verb: verb.into(),
        resource: resource.into(),
        namespace: namespace.into(),
        ..Attributes::default()
    }
}

fn sample() -> Rbac {
    let rbac = Rbac::default();
    let read = json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]);
    rbac.replace("clusterroles", &[role("", "reader", read)]);
    let write = json!([{"verbs": ["create"], "apiGroups": [""], "resources": ["pods"]}]);
    rbac.replace("roles", &[role("a", "writer", write)]);
    let ann = json!({"kind": "User", "name": "ann"});
    let robot = json!({"kind": "ServiceAccount", "name": "robot"});
    let staff = json!({"kind": "Group", "name": "staff"});
    rbac.replace("clusterrolebindings", &[binding("", "staff-reads", ("ClusterRole", "reader"), staff)]);
    rbac.replace(
        "rolebindings",
        &[
            binding("a", "ann-writes", ("Role", "writer"), ann.clone()),
            binding("a", "robot-reads", ("ClusterRole", "reader"), robot),
            binding("b", "broken", ("Role", "nobody"), ann),
        ],
    );
    rbac
}

#[test]
fn bindings_reach_users_groups_and_service_accounts() {
    let rbac = sample();
    let (ann, bob) = (User::new("ann", &[]), User::new("bob", &["staff"]));
    let robot = crate::identity::service_account("a", "robot");
    let table = [
        (
            request(&ann, "create", "pods", "a"),
            true,
            r#"RBAC: allowed by RoleBinding "ann-writes/a" of Role "writer" to User "ann""#,
        ),
        (request(&ann, "create", "pods", "c"), false, ""),
        (request(&ann, "create", "pods", "b"), false, r#"RBAC: role.rbac.authorization.k8s.io "nobody" not found"#),
        (
            request(&bob, "list", "pods", ""),
            true,
            r#"RBAC: allowed by ClusterRoleBinding "staff-reads" of ClusterRole "reader" to Group "staff""#,
        ),
        (request(&bob, "create", "pods", "a"), false, ""),
        (
            request(&robot, "get", "pods", "a"),
            true,
            r#"RBAC: allowed by RoleBinding "robot-reads/a" of ClusterRole "reader" to ServiceAccount "robot/a""#,
        ),
        (request(&robot, "get", "pods", "b"), false, ""),
    ];
    for (request, allowed, reason) in table {
        let decision = rbac.authorize(&request);
        assert_eq!((decision.allowed(), &*decision.reason), (allowed, reason), "{request:?}");
    }
}

#[test]
fn changes_take_effect_one_by_one() {
    let rbac = sample();
    let bob = User::new("bob", &["staff"]);
    let list = request(&bob, "list", "pods", "");
    rbac.observe("clusterrolebindings", Event::Gone(&meta::Key::new("", "staff-reads")));
    assert!(!rbac.authorize(&list).allowed());
    let mine = binding("", "x", ("ClusterRole", "reader"), json!({"kind": "User", "name": "bob"}));
    rbac.observe("clusterrolebindings", Event::Put(&mine));
    assert!(rbac.authorize(&list).allowed());
    let yours = binding("", "x", ("ClusterRole", "reader"), json!({"kind": "User", "name": "eve"}));
    rbac.observe("clusterrolebindings", Event::Put(&yours));
    assert!(!rbac.authorize(&list).allowed());
    rbac.replace("rolebindings", &[]);
    assert!(!rbac.authorize(&request(&User::new("ann", &[]), "create", "pods", "a")).allowed());
    assert!(rbac.authorize(&request(&User::new("eve", &[]), "get", "pods", "a")).allowed());
}

#[test]
fn sums_of_sums_follow_their_parts() {
    let rbac = Rbac::default();
    let sum = |name: &str, label: &str, own: serde_json::Value| {
        object(json!({
            "metadata": {"name": name, "labels": own},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]},
        }))
    };
    let mut part = role("", "part", json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]));
    part.set("metadata.labels", json!({"to-view": "true"}));
    rbac.replace(
        "clusterroles",
        &[sum("admin", "to-admin", json!({})), sum("view", "to-view", json!({"to-admin": "true"})), part],
    );
    rbac.replace(
        "clusterrolebindings",
        &[binding("", "b", ("ClusterRole", "admin"), json!({"kind": "User", "name": "ann"}))],
    );
    let get = request(&User::new("ann", &[]), "get", "pods", "a");
    assert!(rbac.authorize(&get).allowed());
    rbac.observe("clusterroles", Event::Gone(&meta::Key::new("", "part")));
    assert!(!rbac.authorize(&get).allowed());
}

#[test]
fn granting_more_than_one_holds_is_refused() {
    let rbac = sample();
    let bob = User::new("bob", &["staff"]);
    let rules = |value: serde_json::Value| Rule::all_of(&role("", "r", value));
    let held = rules(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["x"]}]));
    assert_eq!(rbac.confirm_no_escalation(&bob, "a", &held), Ok(()));
    let more = rules(json!([
        {"verbs": ["get", "create", "delete"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
        {"verbs": ["get"], "nonResourceURLs": ["/x"]},
    ]));
    let text = "user \"bob\" (groups=[\"staff\"]) is attempting to grant RBAC permissions not currently held:\n\
                {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"create\" \"delete\"]}\n\
                {APIGroups:[\"\"], Resources:[\"pods/log\"], Verbs:[\"get\" \"create\" \"delete\"]}\n\
                {NonResourceURLs:[\"/x\"], Verbs:[\"get\"]}";
    assert_eq!(rbac.confirm_no_escalation(&bob, "a", &more), Err(text.to_owned()));
}

#[test]
fn the_product_of_a_rules_lists_is_not_walked_when_it_is_large() {
    let many = |prefix: &str| (0..1000).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let wanted = Rule { verbs: many("v"), groups: many("g"), resources: many("r"), names: many("n"), ..Rule::default() };
    let star = || vec!["*".to_owned()];
    let all = Rule { verbs: star(), groups: star(), resources: star(), ..Rule::default() };
    assert_eq!(escalation::missing(&[all], std::slice::from_ref(&wanted)), Ok(Vec::new()));
    assert_eq!(escalation::missing(&[], &[wanted]), Err(escalation::TooMany));
    let patterns = Rule { verbs: star(), non_resource_urls: (0..10_000).map(|n| format!("/a{n}/*")).collect(), ..Rule::default() };
    let paths = Rule { non_resource_urls: (0..10_000).map(|n| format!("/b{n}")).collect(), ..patterns.clone() };
    assert_eq!(escalation::missing(&[patterns], &[paths]), Err(escalation::TooMany));
}
