//! Deployment: rolls a template out through ReplicaSets (upstream: `pkg/controller/deployment`).

mod fence;
mod recreate;
mod revision;
mod rolling;
mod rollout;
mod scale;
mod status;
mod template;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use meta::Key;
use meta::selector::Labels;

use crate::frame::{Controller, Permission, Plan, Profile, Report, Seen, Step, Watch, World};
use crate::{owners, selectors};
use rollout::Rollout;

/// The controller.
pub struct Deployments;

impl Controller for Deployments {
    fn profile(&self) -> Profile {
        const SETS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
        Profile {
            name: "deployment-controller",
            account: "deployment-controller",
            watches: vec![Watch::of::<Deployment>(), Watch::of::<ReplicaSet>(), Watch::pods()],
            permissions: &[
                Permission { group: "apps", resource: "deployments", verbs: &["get", "list", "update", "watch"] },
                Permission { group: "apps", resource: "deployments/status", verbs: &["update"] },
                Permission { group: "apps", resource: "deployments/finalizers", verbs: &["update"] },
                Permission { group: "apps", resource: "replicasets", verbs: SETS },
                Permission { group: "", resource: "pods", verbs: &["get", "list", "update", "watch"] },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, world: &World) -> Vec<Key> {
        if let Some(key) = seen.key::<Deployment>() {
            return vec![key];
        }
        if seen.is::<Pod>() {
            return ended_pod(seen, world);
        }
        let mut keys = seen.controllers::<ReplicaSet, Deployment>();
        if let Some(set) = seen.new_as::<ReplicaSet>().filter(|set| owners::controller(&set.metadata).is_none()) {
            let all = world.of::<Deployment>().namespace(set.metadata.namespace.as_deref().unwrap_or(""));
            let selecting = all.filter(|d| selector(d).is_some_and(|s| selectors::selects(&s, &set.metadata)));
            keys.extend(selecting.map(|d| client::informer::key_of(&**d)));
        }
        keys
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        world.of::<Deployment>().iter().map(|d| client::informer::key_of(&**d)).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, now: Timestamp) -> Plan {
        let Some(deployment) = world.of::<Deployment>().get(key) else { return Plan::nothing() };
        let Some(selector) = selector(deployment) else { return selecting_all(deployment) };
        let mut plan = Plan::default();
        let sets = claim(deployment, &selector, world, &mut plan);
        if !plan.steps.is_empty() {
            // The claimed sets have new revisions when this is done: everything else comes after.
            return plan;
        }
        Rollout::new(deployment, sets, world, now).run()
    }
}

/// The selector, unless it selects everything.
fn selector(deployment: &Deployment) -> Option<Labels> {
    selectors::parse(&deployment.spec.as_ref()?.selector).filter(|selector| !selector.is_empty())
}

/// A Recreate rollout waits for the last old pod to be gone, which no ReplicaSet status tells.
fn ended_pod(seen: &Seen, world: &World) -> Vec<Key> {
    let Some(pod) = seen.old::<Pod>().filter(|_| seen.new_as::<Pod>().is_none_or(crate::pods::is_terminal)) else {
        return Vec::new();
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    let Some(owner) = owners::controller(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet") else {
        return Vec::new();
    };
    let Some(set) = world.of::<ReplicaSet>().get(&Key::new(namespace, &owner.name)) else { return Vec::new() };
    let Some(owner) = owners::controller(&set.metadata).filter(|owner| owner.kind == "Deployment") else {
        return Vec::new();
    };
    let key = Key::new(namespace, &owner.name);
    let recreate = world.of::<Deployment>().get(&key).is_some_and(|d| !fence::is_rolling(d));
    if recreate { vec![key] } else { Vec::new() }
}

fn selecting_all(deployment: &Deployment) -> Plan {
    let text = "This deployment is selecting all pods. A non-empty selector is required.";
    let mut plan = Plan::nothing();
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        plan.reports.push(Report::warning(deployment, "SelectingAll", text));
        let mut new = deployment.clone();
        new.status.get_or_insert_default().observed_generation = deployment.metadata.generation;
        plan.finally.push(Step::update_status(&new));
    }
    plan
}

/// The ReplicaSets that are this Deployment's; plans to adopt those that match and nobody has, and to let
/// go of those that match no more.
fn claim(deployment: &Deployment, selector: &Labels, world: &World, plan: &mut Plan) -> Vec<ReplicaSet> {
    let uid = owners::uid(&deployment.metadata);
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or("");
    let alive = deployment.metadata.deletion_timestamp.is_none();
    let mut claimed = Vec::new();
    for set in world.of::<ReplicaSet>().namespace(namespace) {
        let matches = selectors::selects(selector, &set.metadata);
        match owners::controller(&set.metadata) {
            Some(owner) if owner.uid == uid && matches => claimed.push((**set).clone()),
            Some(owner) if owner.uid == uid && alive => plan.step(Step::release(&**set, uid)),
            None if matches && alive && set.metadata.deletion_timestamp.is_none() => {
                plan.step(Step::adopt(&**set, deployment));
            }
            _ => {}
        }
    }
    claimed
}
