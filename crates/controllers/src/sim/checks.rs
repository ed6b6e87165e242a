//! What must hold at every moment, and what must hold in the end.

use std::collections::HashMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::model::Model;
use crate::{owners, pods};

/// The most pods that each owner may have: what it wants, or has wanted since its controller last knew that,
/// and it had no more.
#[derive(Default)]
pub struct Limits(HashMap<String, i32>);

fn wanted(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)
}

/// Whether its controller knows what it wants.
fn settled(set: &ReplicaSet) -> bool {
    set.status.as_ref().and_then(|s| s.observed_generation) == set.metadata.generation
}

fn most(deployment: &Deployment) -> i32 {
    let spec = deployment.spec.as_ref().expect("there");
    let rolling = spec.strategy.as_ref().and_then(|s| s.rolling_update.clone()).unwrap_or_default();
    let number = |value| match value {
        Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(n)) => n,
        _ => 0,
    };
    spec.replicas.unwrap_or(1) + number(rolling.max_surge)
}

fn active(model: &Model, set: &ReplicaSet) -> i32 {
    let uid = owners::uid(&set.metadata);
    let owned = model.pods.objects.values().filter(|pod| pods::is_active(pod) && owners::is_controlled_by(&pod.metadata, uid));
    owned.count() as i32
}

impl Limits {
    /// Never more pods than wanted.
    pub fn check(&mut self, model: &Model) {
        for set in model.sets.objects.values() {
            self.hold(owners::uid(&set.metadata), active(model, set), wanted(set), settled(set));
        }
        for deployment in model.deployments.objects.values() {
            let uid = owners::uid(&deployment.metadata);
            let sets = || model.sets.objects.values().filter(|set| owners::is_controlled_by(&set.metadata, uid));
            let observed = deployment.status.as_ref().and_then(|s| s.observed_generation);
            let agreed = sets().map(wanted).sum::<i32>() <= most(deployment);
            let settled = observed == deployment.metadata.generation && agreed && sets().all(settled);
            self.hold(uid, sets().map(|set| active(model, set)).sum(), most(deployment), settled);
        }
    }

    fn hold(&mut self, uid: &str, count: i32, wanted: i32, settled: bool) {
        let limit = self.0.entry(uid.to_owned()).or_insert(wanted);
        *limit = if settled && count <= wanted { wanted } else { (*limit).max(wanted) };
        assert!(count <= *limit, "{uid} has {count} pods, and may have {limit}");
    }
}

/// All is as the deployments say.
pub fn converged(model: &Model) {
    for deployment in model.deployments.objects.values() {
        let (spec, status) = (deployment.spec.as_ref().expect("there"), deployment.status.clone().unwrap_or_default());
        let uid = owners::uid(&deployment.metadata);
        let wanted = spec.replicas.unwrap_or(1);
        let sets: Vec<&ReplicaSet> =
            model.sets.objects.values().filter(|set| owners::is_controlled_by(&set.metadata, uid)).collect();
        let total: i32 = sets.iter().map(|set| active(model, set)).sum();
        assert_eq!(total, wanted, "pods of {:?}", deployment.metadata.name);
        assert_eq!(status.available_replicas.unwrap_or(0), wanted);
        assert_eq!(status.updated_replicas.unwrap_or(0), wanted);
        assert_eq!(status.observed_generation, deployment.metadata.generation);
        assert!(sets.len() <= 3, "the history is limited");
        let image = |template: &k8s_openapi::api::core::v1::PodTemplateSpec| template.spec.as_ref().expect("there").containers[0].image.clone();
        for set in sets.iter().filter(|set| wanted > 0 && active(model, set) > 0) {
            let template = set.spec.as_ref().and_then(|s| s.template.as_ref()).expect("there");
            assert_eq!(image(template), image(&spec.template));
        }
        let progressing = status.conditions.iter().flatten().find(|c| c.type_ == "Progressing").expect("there");
        assert_eq!(progressing.reason.as_deref(), Some("NewReplicaSetAvailable"));
    }
    for pod in model.pods.objects.values() {
        let owner = owners::controller(&pod.metadata).expect("has a controller");
        let there = model.sets.objects.values().any(|set| set.metadata.uid.as_ref() == Some(&owner.uid));
        assert!(there, "{:?} is an orphan", pod.metadata.name);
    }
}
