//! What to do at start with a bootstrap object that may be there already, perhaps changed by an
//! administrator or made by an older version (upstream: `component-helpers/auth/rbac/reconciliation`).

use meta::Object;
use serde_json::Value;

use crate::authz::Rule;
use crate::authz::rbac::{GROUP, escalation};

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It is there and right, or an administrator keeps it as it is.
    Keep,
    /// Create this.
    Create(Object),
    /// Update to this; it carries the existing resourceVersion.
    Update(Object),
    /// Delete the existing binding and create this one: its role cannot be changed.
    Replace(Object),
}

/// Adds what is missing and takes nothing away. The annotation
/// `rbac.authorization.kubernetes.io/autoupdate: "false"` on the existing object protects it. Only roles and
/// bindings are ever updated.
pub fn reconcile(existing: Option<&Object>, expected: &Object) -> Action {
    let Some(existing) = existing else {
        return Action::Create(expected.clone());
    };
    let protected = existing.annotation("rbac.authorization.kubernetes.io/autoupdate") == Some("false");
    if protected || &*expected.gvk().group != GROUP {
        return Action::Keep;
    }
    let mut merged = existing.clone();
    if expected.kind().ends_with("Binding") {
        if expected.at("roleRef") != existing.at("roleRef") {
            return Action::Replace(expected.clone());
        }
        add_missing(&mut merged, "subjects", expected.list_at("subjects"));
    } else if expected.at("aggregationRule").is_none() {
        let (have, want) = (Rule::all_of(existing), Rule::all_of(expected));
        let missing: Vec<Value> = escalation::missing(&have, &want).unwrap_or(want).iter().map(Rule::to_value).collect();
        add_missing(&mut merged, "rules", &missing);
        merged.remove("aggregationRule");
    } else {
        let path = "aggregationRule.clusterRoleSelectors";
        add_missing(&mut merged, path, expected.list_at(path));
    }
    for map in ["metadata.labels", "metadata.annotations"] {
        for (key, value) in expected.at(map).and_then(Value::as_object).into_iter().flatten() {
            set_default(&mut merged, map, key, value);
        }
    }
    if merged == *existing { Action::Keep } else { Action::Update(merged) }
}

fn add_missing(object: &mut Object, list: &str, wanted: &[Value]) {
    let have = object.list_at(list);
    let missing: Vec<Value> = wanted.iter().filter(|v| !have.contains(v)).cloned().collect();
    if !missing.is_empty() {
        let all: Vec<Value> = have.iter().cloned().chain(missing).collect();
        object.set(list, all);
    }
}

/// The administrator's value of a label or annotation wins. Keys contain dots: no paths here.
fn set_default(object: &mut Object, map: &str, key: &str, value: &Value) {
    object.set_default(map, serde_json::Map::new());
    if let Some(Value::Object(entries)) = object.at_mut(map) {
        entries.entry(key.to_owned()).or_insert_with(|| value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(name: &str) -> Object {
        super::super::objects()
            .into_iter()
            .find(|o| o.name() == name && o.kind().starts_with("ClusterRole"))
            .expect("is there")
    }

    #[test]
    fn additions_of_an_administrator_survive_and_losses_are_made_good() {
        let role = expected("system:node-proxier");
        assert_eq!(reconcile(Some(&role), &role), Action::Keep);
        let mut changed = role.clone();
        let own: Value = serde_json::json!({"verbs": ["get"], "apiGroups": ["x"], "resources": ["y"]});
        changed.set("rules", vec![own.clone()]);
        changed.set("metadata.resourceVersion", "7");
        let Action::Update(merged) = reconcile(Some(&changed), &role) else { panic!("not updated") };
        assert_eq!(merged.list_at("rules")[0], own);
        assert_eq!(escalation::missing(&Rule::all_of(&merged), &Rule::all_of(&role)), Ok(Vec::new()));
        assert_eq!(merged.resource_version(), "7");
        assert_eq!(reconcile(Some(&merged), &role), Action::Keep);
    }

    #[test]
    fn a_protected_role_is_left_alone() {
        let role = expected("system:node-proxier");
        let mut changed = role.clone();
        changed.set("rules", Vec::<Value>::new());
        changed
            .set("metadata.annotations", serde_json::json!({"rbac.authorization.kubernetes.io/autoupdate": "false"}));
        assert_eq!(reconcile(Some(&changed), &role), Action::Keep);
    }

    #[test]
    fn a_binding_to_another_role_is_replaced() {
        let binding = super::super::objects().into_iter().find(|o| o.kind() == "ClusterRoleBinding").expect("is there");
        let mut changed = binding.clone();
        changed.set("roleRef.name", "view");
        assert_eq!(reconcile(Some(&changed), &binding), Action::Replace(binding.clone()));
        assert_eq!(reconcile(None, &binding), Action::Create(binding.clone()));
    }
}
