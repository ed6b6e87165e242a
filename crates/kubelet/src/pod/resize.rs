//! Changed requests and limits of running pods: what the node grants, and what of it is not yet so. Pure
//! (upstream: `kubelet/allocation`, `kuberuntime_manager.go: doPodResizeAction`).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node, Pod, ResourceRequirements};
use runtime::{Container as Seen, Resources};

use super::observed::{Observed, is_running};
use super::shortage::{Shortage, shortages};
use crate::container::resources;
use crate::spec;

/// What a pod's containers were granted last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allocation {
    granted: BTreeMap<String, ResourceRequirements>,
    /// Why the spec is not granted: `Deferred` or `Infeasible`, a text, and the generation that asked.
    pub pending: Option<(&'static str, String, Option<i64>)>,
    /// The last attempt to bring it about failed.
    pub error: Option<String>,
    /// Generation of the pod that was granted last.
    pub generation: Option<i64>,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nothing new.
    Same,
    /// The pod gets what it asks for.
    Granted,
    /// It does not, for a reason that was not told before.
    Refused,
}

impl Allocation {
    /// Considers the pod's spec. A pod that is new here has what its status says, or what it asks for.
    pub fn take(&mut self, pod: &Pod, others: &[Arc<Pod>], node: Option<&Node>) -> Taken {
        let status = spec::status(pod);
        let lists = [&status.container_statuses, &status.init_container_statuses];
        let told = |name: &str| {
            let mut all = lists.iter().flat_map(|l| l.iter().flatten());
            all.find(|s| s.name == name).and_then(|s| s.resources.clone())
        };
        let (mut changed, mut known) = (false, true);
        for container in containers(pod) {
            let wanted = container.resources.clone().unwrap_or_default();
            let has = self.granted.entry(container.name.clone()).or_insert_with(|| {
                known = false;
                told(&container.name).unwrap_or_else(|| wanted.clone())
            });
            changed |= *has != wanted;
        }
        if !changed {
            self.pending = None;
            self.generation = if known { self.generation } else { pod.metadata.generation };
            return Taken::Same;
        }
        let shortage = node.and_then(|node| shortages(pod, others, node).into_iter().next());
        if let Some(Shortage { resource, requested, used, capacity }) = shortage {
            let (reason, message) = if requested > capacity {
                let text = format!(
                    "Node didn't have enough capacity: {resource}, requested: {requested}, capacity: {capacity}"
                );
                ("Infeasible", text)
            } else {
                let text = format!(
                    "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, \
                     capacity: {capacity}"
                );
                ("Deferred", text)
            };
            let pending = Some((reason, message, pod.metadata.generation));
            let news = self.pending != pending;
            self.pending = pending;
            return if news { Taken::Refused } else { Taken::Same };
        }
        for container in containers(pod) {
            self.granted.insert(container.name.clone(), container.resources.clone().unwrap_or_default());
        }
        self.pending = None;
        self.error = None;
        self.generation = pod.metadata.generation;
        Taken::Granted
    }

    /// The pod as it is granted.
    pub fn apply(&self, pod: &Arc<Pod>) -> Arc<Pod> {
        let differs = |c: &Container| self.granted.get(&c.name).is_some_and(|g| *g != c.resources.clone().unwrap_or_default());
        if !containers(pod).any(differs) {
            return pod.clone();
        }
        let mut granted = Pod::clone(pod);
        let Some(spec) = &mut granted.spec else { return pod.clone() };
        let init = spec.init_containers.iter_mut().flatten();
        for container in spec.containers.iter_mut().chain(init) {
            if let Some(resources) = self.granted.get(&container.name) {
                container.resources = Some(resources.clone());
            }
        }
        Arc::new(granted)
    }
}

/// The containers whose resources can change.
fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    spec::of(pod).containers.iter().chain(spec::init_containers(pod).iter().filter(|c| spec::is_sidecar(c)))
}

/// Whether a running container has other limits than the pod grants.
pub fn differs(pod: &Pod, container: &Container, seen: &Seen) -> bool {
    let (cpu, memory) = changes(pod, container, seen);
    cpu || memory
}

/// Whether its change needs a restart (`resizePolicy`).
pub fn needs_restart(pod: &Pod, container: &Container, seen: &Seen) -> bool {
    let (cpu, memory) = changes(pod, container, seen);
    let policies = container.resize_policy.iter().flatten();
    policies.into_iter().any(|p| {
        p.restart_policy == "RestartContainer" && (p.resource_name == "cpu" && cpu || p.resource_name == "memory" && memory)
    })
}

fn changes(pod: &Pod, container: &Container, seen: &Seen) -> (bool, bool) {
    let (wanted, has) = (resources::container(pod, container, 0), &seen.resources);
    let cpu = (wanted.cpu_shares, wanted.cpu_quota) != (has.cpu_shares, has.cpu_quota);
    (cpu, wanted.memory_limit != has.memory_limit)
}

/// Ids of the containers to change in place; `None` when nothing is to change, not even for the pod as a whole.
pub fn wanted(pod: &Pod, observed: &Observed) -> Option<Vec<String>> {
    let sandbox = observed.sandbox.as_ref().filter(|s| s.ready)?;
    let running = |c: &Container| observed.current(&c.name).filter(|seen| is_running(seen));
    let in_place = |c: &Container, seen: &Seen| differs(pod, c, seen) && !needs_restart(pod, c, seen);
    let changed = containers(pod).filter_map(|c| running(c).filter(|seen| in_place(c, seen)));
    let ids: Vec<String> = changed.map(|seen| seen.id.clone()).collect();
    let (whole, has) = (resources::pod(pod, None), &sandbox.config.resources);
    let same = (whole.cpu_shares, whole.cpu_quota, whole.memory_limit) == (has.cpu_shares, has.cpu_quota, has.memory_limit);
    (!same || !ids.is_empty()).then_some(ids)
}

/// Whether anything of the pod still has other limits than it is granted.
pub fn under_way(pod: &Pod, observed: &Observed) -> bool {
    let restarts = |c: &Container| {
        observed.current(&c.name).is_some_and(|seen| is_running(seen) && needs_restart(pod, c, seen))
    };
    wanted(pod, observed).is_some() || containers(pod).any(restarts)
}

/// Limits that hold both before and after: while containers change, the pod must not be in their way.
pub fn wider(a: &Resources, b: &Resources) -> Resources {
    let most = |a: i64, b: i64| if a <= 0 || b <= 0 { 0 } else { a.max(b) };
    Resources {
        cpu_shares: a.cpu_shares.max(b.cpu_shares),
        cpu_quota: most(a.cpu_quota, b.cpu_quota),
        memory_limit: most(a.memory_limit, b.memory_limit),
        ..b.clone()
    }
}

/// An event's text (upstream: `events.PodResizeStartedMsg` and its kin).
pub fn event(pod: &Pod, what: &str, error: Option<&str>) -> String {
    let list: Vec<_> = containers(pod).map(|c| serde_json::json!({"name": c.name, "resources": c.resources})).collect();
    let mut details = serde_json::json!({"containers": list, "generation": pod.metadata.generation});
    if let Some(error) = error {
        details["error"] = error.into();
    }
    format!("Pod resize {what}: {details}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(cpu: &str) -> Arc<Pod> {
        Arc::new(spec::tests::pod(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]})))
    }

    #[test]
    fn wishes_are_granted_deferred_or_infeasible() {
        let node: Node = serde_json::from_value(json!({"status": {"allocatable": {"cpu": "2", "pods": "9"}}})).expect("node");
        let mut other = Pod::clone(&pod("1"));
        other.metadata.uid = Some("u2".to_owned());
        let others = [Arc::new(other)];
        let mut allocation = Allocation::default();
        let mut take = |cpu| (allocation.take(&pod(cpu), &others, Some(&node)), allocation.clone());
        let reason = |a: &Allocation| a.pending.as_ref().map(|p| p.0);
        assert_eq!(take("100m").0, Taken::Same);
        assert_eq!(take("1").0, Taken::Granted);
        let (taken, deferred) = take("1500m");
        assert_eq!((taken, reason(&deferred)), (Taken::Refused, Some("Deferred")));
        assert_eq!(take("1500m").0, Taken::Same, "it was told");
        assert_eq!(deferred.apply(&pod("1500m")), pod("1"), "what was granted before stays");
        assert_eq!(reason(&take("3").1), Some("Infeasible"));
        let (taken, back) = take("1");
        assert_eq!((taken, back.pending), (Taken::Same, None));
    }

    #[test]
    fn limits_give_way_while_they_change() {
        let limits = |cpu_quota, memory_limit| Resources { cpu_quota, memory_limit, ..Resources::default() };
        let both = wider(&limits(5, 0), &limits(3, 7));
        assert_eq!((both.cpu_quota, both.memory_limit), (5, 0), "none is the widest");
    }
}
