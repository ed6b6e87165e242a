//! ReplicaSet: as many pods of one template as it says (upstream: `pkg/controller/replicaset`).

mod rank;
mod status;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use meta::Key;
use meta::selector::Labels;

use crate::frame::world::ORPHANS;
use crate::frame::{Controller, Permission, Plan, Profile, Report, Seen, Step, Watch, World};
use crate::{owners, pods, selectors};

/// Pods created or deleted by one plan at most (upstream: `BurstReplicas`).
const BURST: usize = 500;

/// The controller.
pub struct Replicas;

impl Controller for Replicas {
    fn profile(&self) -> Profile {
        Profile {
            name: "replicaset-controller",
            account: "replicaset-controller",
            watches: vec![Watch::of::<ReplicaSet>(), Watch::pods()],
            permissions: &[
                Permission { group: "apps", resource: "replicasets", verbs: &["get", "list", "watch", "update"] },
                Permission { group: "apps", resource: "replicasets/status", verbs: &["update"] },
                Permission { group: "apps", resource: "replicasets/finalizers", verbs: &["update"] },
                Permission { group: "", resource: "pods", verbs: &["create", "delete", "list", "patch", "watch"] },
                Permission { group: "", resource: "events", verbs: &["create", "patch", "update"] },
            ],
        }
    }

    fn route(&self, seen: &Seen, world: &World) -> Vec<Key> {
        if let Some(key) = seen.key::<ReplicaSet>() {
            return vec![key];
        }
        let mut keys = seen.controllers::<Pod, ReplicaSet>();
        if let Some(pod) = seen.new_as::<Pod>().filter(|pod| owners::controller(&pod.metadata).is_none()) {
            let sets = world.of::<ReplicaSet>().namespace(pod.metadata.namespace.as_deref().unwrap_or(""));
            let selecting = sets.filter(|set| selector(set).is_some_and(|s| selectors::selects(&s, &pod.metadata)));
            keys.extend(selecting.map(|set| client::informer::key_of(&**set)));
        }
        keys
    }

    fn keys(&self, world: &World) -> Vec<Key> {
        world.of::<ReplicaSet>().iter().map(|set| client::informer::key_of(&**set)).collect()
    }

    fn reconcile(&self, key: &Key, world: &World, now: Timestamp) -> Plan {
        let Some(set) = world.of::<ReplicaSet>().get(key) else { return Plan::nothing() };
        let (Some(spec), Some(selector)) = (&set.spec, selector(set)) else { return Plan::nothing() };
        let mut plan = Plan::default();
        let active = claim(set, &selector, world, &mut plan);
        if set.metadata.deletion_timestamp.is_none() {
            resize(set, spec, &active, world, now, &mut plan);
        }
        let terminating = terminating(set, &selector, world);
        status::update(set, &active, terminating, world.failure(), now, &mut plan);
        plan
    }
}

/// The selector, unless it selects everything: no ReplicaSet may do that.
fn selector(set: &ReplicaSet) -> Option<Labels> {
    selectors::parse(&set.spec.as_ref()?.selector).filter(|selector| !selector.is_empty())
}

fn replicas(spec: &ReplicaSetSpec) -> usize {
    spec.replicas.unwrap_or(1).try_into().unwrap_or(0)
}

/// The active pods that are this set's, after adopting those that match and nobody has, and letting go
/// of those that match no more.
fn claim<'a>(set: &ReplicaSet, selector: &Labels, world: &'a World, plan: &mut Plan) -> Vec<&'a Pod> {
    let uid = owners::uid(&set.metadata);
    let alive = set.metadata.deletion_timestamp.is_none();
    let mut claimed = Vec::new();
    for pod in world.of::<Pod>().owned(uid).filter(|pod| pods::is_active(pod)) {
        if !owners::is_controlled_by(&pod.metadata, uid) {
            continue;
        }
        if selectors::selects(selector, &pod.metadata) {
            claimed.push(&**pod);
        } else if alive {
            plan.step(Step::release(&**pod, uid));
        }
    }
    let namespace = set.metadata.namespace.as_deref().unwrap_or("");
    for pod in world.of::<Pod>().by(ORPHANS, namespace).filter(|pod| alive && pods::is_active(pod)) {
        if selectors::selects(selector, &pod.metadata) {
            plan.step(Step::adopt(&**pod, set));
            claimed.push(&**pod);
        }
    }
    claimed
}

fn terminating(set: &ReplicaSet, selector: &Labels, world: &World) -> usize {
    let uid = owners::uid(&set.metadata);
    let going = |pod: &Pod| {
        pod.metadata.deletion_timestamp.is_some()
            && !pods::is_terminal(pod)
            && owners::is_controlled_by(&pod.metadata, uid)
            && selectors::selects(selector, &pod.metadata)
    };
    world.of::<Pod>().owned(uid).filter(|pod| going(pod)).count()
}

fn resize(set: &ReplicaSet, spec: &ReplicaSetSpec, active: &[&Pod], world: &World, now: Timestamp, plan: &mut Plan) {
    let wanted = replicas(spec);
    if active.len() < wanted {
        let pod = new_pod(set, spec);
        for _ in 0..(wanted - active.len()).min(BURST) {
            let step = Step::create(&pod)
                .done(Report::normal(set, "SuccessfulCreate", "Created pod: {}"))
                .refused(Report::warning(set, "FailedCreate", "Error creating: {}"));
            plan.step(step);
        }
    } else if active.len() > wanted {
        let surplus = (active.len() - wanted).min(BURST);
        for pod in rank::first_to_go(active, &related(set, world), now, surplus) {
            let name = pod.metadata.name.as_deref().unwrap_or("");
            let step = Step::delete(pod)
                .done(Report::normal(set, "SuccessfulDelete", format!("Deleted pod: {name}")))
                .refused(Report::warning(set, "FailedDelete", "Error deleting: {}"));
            plan.step(step);
        }
    }
}

fn new_pod(set: &ReplicaSet, spec: &ReplicaSetSpec) -> Pod {
    let template = spec.template.clone().unwrap_or_default();
    let from = template.metadata.unwrap_or_default();
    let name = set.metadata.name.as_deref().unwrap_or("");
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: set.metadata.namespace.clone(),
            labels: from.labels,
            annotations: from.annotations,
            finalizers: from.finalizers,
            owner_references: Some(vec![owners::reference(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// The active pods of all ReplicaSets with the same controller: what a node has many of goes first.
fn related<'a>(set: &ReplicaSet, world: &'a World) -> Vec<&'a Pod> {
    let Some(owner) = owners::controller(&set.metadata) else { return Vec::new() };
    let (sets, pods) = (world.of::<ReplicaSet>(), world.of::<Pod>());
    let all = sets.owned(&owner.uid).flat_map(|set| pods.owned(owners::uid(&set.metadata)));
    all.filter(|pod| pods::is_active(pod)).map(|pod| &**pod).collect()
}
