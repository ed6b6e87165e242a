//! ClusterRole aggregation: a role with an `aggregationRule` has the rules of all that it selects
//! (upstream: `pkg/controller/clusterroleaggregation`).

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use meta::Key;

use crate::frame::{Controller, Permission, Plan, Profile, Seen, Step, Watch, World};
use crate::selectors;

/// The controller.
pub struct RoleAggregation;

impl Controller for RoleAggregation {
    fn profile(&self) -> Profile {
        const VERBS: &[&str] = &["escalate", "get", "list", "patch", "update", "watch"];
        Profile {
            name: "clusterrole-aggregation-controller",
            account: "clusterrole-aggregation-controller",
            watches: vec![Watch::of::<ClusterRole>()],
            permissions: &[Permission { group: "rbac.authorization.k8s.io", resource: "clusterroles", verbs: VERBS }],
        }
    }

    fn route(&self, _: &Seen, world: &World) -> Vec<Key> {
        // A change of any role may change any that aggregates: they are few.
        self.keys(world)
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        let aggregating = world.of::<ClusterRole>().iter().filter(|role| role.aggregation_rule.is_some());
        aggregating.map(|role| client::informer::key_of(&**role)).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, _: Timestamp) -> Plan {
        let mut plan = Plan::default();
        let Some(role) = world.of::<ClusterRole>().get(key) else { return plan };
        let Some(rule) = &role.aggregation_rule else { return plan };
        let mut rules: Vec<PolicyRule> = Vec::new();
        for selector in rule.cluster_role_selectors.iter().flatten().filter_map(selectors::parse) {
            let selected = world.of::<ClusterRole>().iter().filter(|other| other.metadata.name != role.metadata.name);
            for other in selected.filter(|other| selectors::selects(&selector, &other.metadata)) {
                for rule in other.rules.iter().flatten() {
                    if !rules.contains(rule) {
                        rules.push(rule.clone());
                    }
                }
            }
        }
        if role.rules.as_deref().unwrap_or_default() != rules {
            plan.step(Step::update(&ClusterRole { rules: Some(rules), ..(**role).clone() }));
        }
        plan
    }
}
