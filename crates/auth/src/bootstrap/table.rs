//! Reads the tables of roles and bindings (their grammar is at the head of each). The tables are part of
//! the program and tests read them all, so that a mistake in one does not get far.

use meta::Object;
use serde_json::{Map, Value, json};

use super::object;
use crate::authz::Rule;
use crate::authz::rbac::GROUP;

/// All roles of a table.
pub(super) fn roles(table: &str) -> Vec<Object> {
    let mut roles: Vec<Object> = Vec::new();
    let mut rules: Vec<Value> = Vec::new();
    for line in lines(table) {
        if line.starts_with(' ') {
            rules.push(rule(line).to_value());
            continue;
        }
        finish(&mut roles, &mut rules);
        roles.push(role(line));
    }
    finish(&mut roles, &mut rules);
    roles
}

/// Gives the collected rules to the role that was begun last. An aggregated one has none of its own.
fn finish(roles: &mut [Object], rules: &mut Vec<Value>) {
    if let Some(last) = roles.last_mut() {
        last.set("rules", std::mem::take(rules));
    }
}

fn lines(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty())
}

fn role(line: &str) -> Object {
    let mut words = line.split_whitespace();
    let (namespace, name) = place(words.next().unwrap_or(""));
    let kind = if namespace.is_empty() { "ClusterRole" } else { "Role" };
    let mut role = empty(kind, namespace, name);
    while let (Some(how), Some(label)) = (words.next(), words.next()) {
        let key = format!("{GROUP}/{label}");
        if how == "part-of" {
            if let Some(Value::Object(labels)) = role.at_mut("metadata.labels") {
                labels.insert(key, "true".into());
            }
        } else {
            let labels: Map<String, Value> = [(key, "true".into())].into_iter().collect();
            role.set("aggregationRule", json!({"clusterRoleSelectors": [{"matchLabels": labels}]}));
        }
    }
    role
}

fn rule(line: &str) -> Rule {
    let mut columns = line.split_whitespace().map(list);
    let mut next = || columns.next().unwrap_or_default();
    let (verbs, groups, resources, names) = (next(), next(), next(), next());
    if groups == ["url"] {
        return Rule { verbs, non_resource_urls: resources, ..Rule::default() };
    }
    let groups = groups.into_iter().map(|g| if g == "core" { String::new() } else { g }).collect();
    Rule { verbs, groups, resources, names, ..Rule::default() }
}

fn list(column: &str) -> Vec<String> {
    column.split(',').map(str::to_owned).collect()
}

/// All bindings of a table.
pub(super) fn bindings(table: &str) -> Vec<Object> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let (namespace, name) = place(words.next().unwrap_or(""));
        let role = words.next().unwrap_or("");
        binding(namespace, name, role, words.map(subject).collect())
    };
    lines(table).map(one).collect()
}

/// A binding; without a namespace, of the whole cluster.
pub(super) fn binding(namespace: &str, name: &str, role: &str, subjects: Vec<Value>) -> Object {
    let (kind, role_kind) =
        if namespace.is_empty() { ("ClusterRoleBinding", "ClusterRole") } else { ("RoleBinding", "Role") };
    let mut binding = empty(kind, namespace, name);
    binding.set("roleRef", json!({"apiGroup": GROUP, "kind": role_kind, "name": role}));
    if !subjects.is_empty() {
        binding.set("subjects", subjects);
    }
    binding
}

fn subject(word: &str) -> Value {
    match word.split_once('=').unwrap_or(("", word)) {
        ("account", account) => {
            let (namespace, name) = place(account);
            json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
        }
        ("user", name) => json!({"apiGroup": GROUP, "kind": "User", "name": name}),
        (_, name) => json!({"apiGroup": GROUP, "kind": "Group", "name": name}),
    }
}

fn place(word: &str) -> (&str, &str) {
    word.split_once('/').unwrap_or(("", word))
}

fn empty(kind: &str, namespace: &str, name: &str) -> Object {
    let mut out = object(json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
    }));
    if !namespace.is_empty() {
        out.set("metadata.namespace", namespace);
    }
    out
}
