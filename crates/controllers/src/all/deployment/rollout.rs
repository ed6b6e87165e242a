//! One look at one Deployment: which ReplicaSet is the new one, what changes, and the plan for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use meta::Key;

use super::{fence, recreate, revision, rolling, scale, status, template};
use crate::frame::{Plan, Report, Step, World};
use crate::owners;

/// Longest name of a ReplicaSet (a DNS subdomain).
const NAME_LENGTH: usize = 253;

/// A ReplicaSet, what it was and what it shall be.
pub struct Set {
    /// As it shall be.
    pub now: ReplicaSet,
    /// Its replicas as they were.
    was: i32,
    changed: bool,
    created: bool,
}

impl Set {
    fn known(set: ReplicaSet) -> Self {
        let was = set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
        Set { now: set, was, changed: false, created: false }
    }

    /// Wanted replicas.
    pub fn replicas(&self) -> i32 {
        self.now.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)
    }

    /// Pods that it has, or will have if nobody stops it.
    pub fn reach(&self) -> i32 {
        self.replicas().max(self.now.status.as_ref().map_or(0, |s| s.replicas))
    }

    /// Whether its controller may still act on a larger size.
    pub fn unsettled(&self) -> bool {
        let observed = self.now.status.as_ref().and_then(|s| s.observed_generation).unwrap_or(0);
        !self.created && self.now.metadata.generation.unwrap_or(0) > observed
    }

    /// Whether this look creates it.
    pub fn is_created(&self) -> bool {
        self.created
    }

    /// Available pods.
    pub fn available(&self) -> i32 {
        self.now.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0)
    }

    /// Name.
    pub fn name(&self) -> &str {
        self.now.metadata.name.as_deref().unwrap_or("")
    }

    /// Order by age, then name; sets not yet created are the youngest.
    pub fn age(&self) -> (bool, Option<Timestamp>, String) {
        let created = self.now.metadata.creation_timestamp.as_ref().map(|t| t.0);
        (created.is_none(), created, self.name().to_owned())
    }
}

/// The state of one look.
pub struct Rollout<'a> {
    /// The Deployment as it is.
    pub deployment: &'a Deployment,
    /// What is seen.
    pub world: &'a World,
    /// When.
    pub now: Timestamp,
    /// The sets with other templates.
    pub old: Vec<Set>,
    /// The set with the Deployment's template.
    pub new: Option<Set>,
    /// The status as it was, with the conditions of this look.
    pub status: DeploymentStatus,
    /// The Deployment's revision, if it must change.
    pub revision: Option<String>,
    /// What is planned beside the sets' changes.
    pub plan: Plan,
}

impl<'a> Rollout<'a> {
    /// Starts a look.
    pub fn new(deployment: &'a Deployment, sets: Vec<ReplicaSet>, world: &'a World, now: Timestamp) -> Self {
        let mut sets: Vec<Set> = sets.into_iter().map(Set::known).collect();
        sets.sort_by_key(Set::age);
        let wanted = deployment.spec.as_ref().map(|s| template::same_as(&s.template));
        let is_new = |set: &Set| {
            let template = set.now.spec.as_ref().and_then(|s| s.template.as_ref());
            wanted.as_ref().zip(template).is_some_and(|(is_wanted, template)| is_wanted(template))
        };
        // Several sets may have the same template: the oldest is the one.
        let new = sets.iter().position(is_new).map(|at| sets.remove(at));
        let status = deployment.status.clone().unwrap_or_default();
        Rollout { deployment, world, now, old: sets, new, status, revision: None, plan: Plan::default() }
    }

    /// Decides.
    pub fn run(mut self) -> Plan {
        let spec = self.deployment.spec.as_ref();
        if self.deployment.metadata.deletion_timestamp.is_some() {
            self.sync_newest();
            status::write(&mut self, false);
            return self.finish();
        }
        status::note_pause(&mut self);
        if spec.and_then(|s| s.paused).unwrap_or(false) {
            self.sync_newest();
            if scale::resize(&mut self) {
                self.clean_up();
                status::write(&mut self, false);
            }
        } else if self.was_scaled() {
            self.sync_newest();
            if scale::resize(&mut self) {
                status::write(&mut self, false);
            }
        } else {
            if fence::is_rolling(self.deployment) { rolling::run(&mut self) } else { recreate::run(&mut self) }
            if status::is_complete(self.deployment, &self.deployment.status.clone().unwrap_or_default()) {
                self.clean_up();
            }
            status::write(&mut self, true);
        }
        self.finish()
    }

    /// Old and new sets.
    pub fn all(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }

    fn was_scaled(&self) -> bool {
        let wanted = fence::replicas(self.deployment);
        self.all().filter(|set| set.replicas() > 0).any(|set| revision::desired(&set.now).is_some_and(|d| d != wanted))
    }

    /// Brings annotations, revision and minReadySeconds of the new set, if there is one, up to date.
    pub fn sync_newest(&mut self) {
        let next = self.old.iter().map(|set| revision::of(&set.now)).max().unwrap_or(0) + 1;
        let Some(new) = &mut self.new else { return };
        let min_ready = self.deployment.spec.as_ref().and_then(|s| s.min_ready_seconds);
        new.changed |= revision::annotate_newest(&mut new.now, self.deployment, next);
        if let Some(spec) = new.now.spec.as_mut().filter(|s| s.min_ready_seconds.unwrap_or(0) != min_ready.unwrap_or(0)) {
            spec.min_ready_seconds = min_ready;
            new.changed = true;
        }
        let current = revision::of(&new.now).to_string();
        let name = new.name().to_owned();
        self.set_revision(current);
        status::note_found(self, &name);
    }

    fn set_revision(&mut self, revision: String) {
        let annotations = self.deployment.metadata.annotations.as_ref();
        if annotations.and_then(|a| a.get(revision::REVISION)) != Some(&revision) {
            self.revision = Some(revision);
        }
    }

    /// The new set, made if there is none yet. With a name that is taken by something else there is none:
    /// the collision is counted, and the next look takes another name.
    pub fn ensure_newest(&mut self) {
        if self.new.is_some() {
            return self.sync_newest();
        }
        let Some(spec) = &self.deployment.spec else { return };
        let hash = template::hash(&spec.template, self.status.collision_count);
        let name = set_name(self.deployment.metadata.name.as_deref().unwrap_or(""), &hash);
        let namespace = self.deployment.metadata.namespace.as_deref().unwrap_or("");
        if self.world.of::<ReplicaSet>().get(&Key::new(namespace, &name)).is_some() {
            self.status.collision_count = Some(self.status.collision_count.unwrap_or(0) + 1);
            return;
        }
        let next = self.old.iter().map(|set| revision::of(&set.now)).max().unwrap_or(0) + 1;
        let mut set = new_set(self.deployment, &spec.template, &spec.selector, &name, &hash);
        if let Some(spec) = &mut set.spec {
            spec.replicas = Some(rolling::room(self, 0));
        }
        revision::annotate_newest(&mut set, self.deployment, next);
        revision::note_size(&mut set, self.deployment);
        self.new = Some(Set { now: set, was: 0, changed: false, created: true });
        self.set_revision(next.to_string());
        status::note_created(self, &name);
    }

    /// Sets the size of a set (`None`: the new one), and notes the Deployment's in it.
    pub fn resize(&mut self, old: Option<usize>, replicas: i32, always: bool) {
        let deployment = self.deployment;
        let set = match old {
            Some(at) => self.old.get_mut(at),
            None => self.new.as_mut(),
        };
        let Some(set) = set.filter(|set| always || set.replicas() != replicas) else { return };
        let noted = revision::note_size(&mut set.now, deployment);
        if set.replicas() != replicas || noted {
            set.now.spec.get_or_insert_default().replicas = Some(replicas);
            set.changed = true;
        }
    }

    /// Deletes the oldest of the sets that are out of use, beyond the history limit.
    fn clean_up(&mut self) {
        let limit = self.deployment.spec.as_ref().and_then(|s| s.revision_history_limit);
        let Some(limit) = limit.filter(|l| *l != i32::MAX) else { return };
        let mut candidates: Vec<&Set> =
            self.old.iter().filter(|set| set.now.metadata.deletion_timestamp.is_none()).collect();
        let surplus = candidates.len().saturating_sub(limit.try_into().unwrap_or(0));
        candidates.sort_by_key(|set| (revision::of(&set.now), set.age()));
        let unused = |set: &&Set| set.reach() == 0 && !set.unsettled() && !set.changed;
        let steps = candidates.into_iter().take(surplus).filter(unused).map(|set| Step::delete(&set.now));
        let steps: Vec<Step> = steps.collect();
        self.plan.steps.extend(steps);
    }

    /// The plan: the sets' changes, deletions, then the status.
    fn finish(self) -> Plan {
        let about = self.deployment;
        let mut plan = self.plan;
        let mut writes = Vec::new();
        for set in self.new.into_iter().chain(self.old) {
            let (name, from, to) = (set.name().to_owned(), set.was, set.replicas());
            let direction = if to > from { "up" } else { "down" };
            let text = format!("Scaled {direction} replica set {name} from {from} to {to}");
            let mut step = match (set.created, set.changed) {
                (true, _) => {
                    let text = format!("Failed to create new replica set \"{name}\": {{}}");
                    Step::create(&set.now).refused(Report::warning(about, "ReplicaSetCreateError", text))
                }
                (false, true) => Step::update(&set.now),
                (false, false) => continue,
            };
            if from != to {
                step = step.done(Report::normal(about, "ScalingReplicaSet", text));
            }
            writes.push(step);
        }
        plan.steps.splice(0..0, writes);
        plan
    }
}

fn set_name(deployment: &str, hash: &str) -> String {
    let room = NAME_LENGTH - 1 - hash.len();
    format!("{}-{hash}", &deployment[..deployment.len().min(room)])
}

fn new_set(
    deployment: &Deployment,
    template: &PodTemplateSpec,
    selector: &LabelSelector,
    name: &str,
    hash: &str,
) -> ReplicaSet {
    let mark = |labels: &mut BTreeMap<String, String>| labels.insert(template::HASH.to_owned(), hash.to_owned());
    let mut template = template.clone();
    mark(template.metadata.get_or_insert_default().labels.get_or_insert_default());
    let mut selector = selector.clone();
    mark(selector.match_labels.get_or_insert_default());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: deployment.metadata.namespace.clone(),
            labels: template.metadata.as_ref().and_then(|m| m.labels.clone()),
            owner_references: Some(vec![owners::reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: deployment.spec.as_ref().and_then(|s| s.min_ready_seconds),
            selector,
            template: Some(template),
        }),
        status: None,
    }
}
