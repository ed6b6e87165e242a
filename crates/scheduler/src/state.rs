//! What is known of nodes and pods, and which pod is next. The clock is handed in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use client::Change;
use k8s_openapi::api::core::v1::{Node, Pod};
use meta::Key;

use crate::attempt::{Attempt, End, Nomination};
use crate::cycle::{Cycle, Decision};
use crate::preempt::{Candidate, Outcome};
use crate::queue::{Hint, Queue};
use crate::run::NAME;
use crate::snapshot::{PodInfo, Snapshot};

#[derive(Default)]
pub(crate) struct State {
    snapshot: Snapshot,
    queue: Queue,
    /// Pods in the queue.
    pending: HashMap<Key, Arc<PodInfo>>,
    /// Pods whose binding is under way, and where to.
    assumed: HashMap<Key, Arc<str>>,
    cycle: Cycle,
}

impl State {
    /// Takes in a change of a node.
    pub(crate) fn node_changed(&mut self, change: &Change<Node>, now: Instant) {
        let Some(node) = &change.new else {
            let name = change.latest().metadata.name.as_deref().unwrap_or("");
            self.snapshot.remove_node(name);
            self.displace(name, |_| true, now);
            return;
        };
        if change.old.as_ref().is_some_and(|old| !matters(old, node)) {
            return self.snapshot.heard_from(node);
        }
        self.snapshot.set_node(node.clone());
        self.queue.happened(Hint::Node, now);
    }

    /// Takes in a change of a pod.
    pub(crate) fn pod_changed(&mut self, change: &Change<Pod>, now: Instant) {
        let key = client::informer::key_of(change.latest().as_ref());
        match &change.new {
            Some(pod) if !pod::life::is_terminal(pod) => self.pod_is(&key, pod, change.old.as_deref(), now),
            _ => {
                let nominated = self.forget(&key).is_some();
                let old_node = change.old.as_deref().and_then(node_of);
                if let Some(node) = old_node {
                    self.snapshot.remove_pod(node, &key);
                }
                // Room that was kept for a pod is as good as room that it had.
                if nominated || old_node.is_some() {
                    self.queue.happened(Hint::PodGone, now);
                }
            }
        }
    }

    fn pod_is(&mut self, key: &Key, pod: &Arc<Pod>, old: Option<&Pod>, now: Instant) {
        if let Some(node) = node_of(pod) {
            // An assumption elsewhere (another scheduler was faster) ends here.
            let nominated = self.forget(key);
            self.snapshot.set_pod(node, key, Arc::new(PodInfo::new(pod.clone())));
            if nominated.is_some_and(|nominated| *nominated != *node) {
                self.queue.happened(Hint::PodGone, now);
            }
            return;
        }
        if !waits_for_us(pod) {
            if self.forget(key).is_some() {
                self.queue.happened(Hint::PodGone, now);
            }
            return;
        }
        let same = |old: &Pod| old.spec == pod.spec && old.metadata.labels == pod.metadata.labels;
        let news = old.is_none_or(|old| !same(old)) || !self.pending.contains_key(key);
        let info = Arc::new(PodInfo::new(pod.clone()));
        self.pending.insert(key.clone(), info.clone());
        if news {
            self.queue.add(key.clone(), info.priority());
        }
        if !self.assumed.contains_key(key) {
            let node = match (old.and_then(nominated_in), nominated_in(pod)) {
                // The news may be older than what was decided here and is being written.
                (None, None) => self.snapshot.nomination(key).cloned(),
                (_, said) => said.map(Arc::from),
            };
            self.nominate(key, &info, node, now);
        }
    }

    /// The pod no longer waits, and is no longer assumed or nominated anywhere. Returns where it was nominated.
    fn forget(&mut self, key: &Key) -> Option<Arc<str>> {
        self.queue.remove(key);
        self.pending.remove(key);
        if let Some(node) = self.assumed.remove(key) {
            self.snapshot.remove_pod(&node, key);
        }
        self.snapshot.withdraw(key)
    }

    /// Sets the nomination of a pod, or takes it away. What is no longer kept for it may help others.
    fn nominate(&mut self, key: &Key, pod: &Arc<PodInfo>, node: Option<Arc<str>>, now: Instant) {
        let before = self.snapshot.withdraw(key);
        if let Some(node) = &node {
            self.snapshot.nominate(key, node, pod.clone());
        }
        if before.is_some() && before != node {
            self.queue.happened(Hint::PodGone, now);
        }
    }

    /// Takes the nominations for a node away from some pods; they are tried again at once.
    fn displace(&mut self, node: &str, which: impl Fn(&PodInfo) -> bool, now: Instant) -> Vec<Arc<Pod>> {
        let Some(info) = self.snapshot.node(node).cloned() else { return Vec::new() };
        let mut displaced = Vec::new();
        for (key, pod) in info.nominated.iter().filter(|(_, pod)| which(pod)) {
            self.nominate(key, pod, None, now);
            self.queue.add(key.clone(), pod.priority());
            displaced.push(pod.pod.clone());
        }
        displaced
    }

    /// Decides upon the next pod; without one says when it will be time for one.
    pub(crate) fn next(&mut self, now: Instant) -> (Option<Attempt>, Option<Instant>) {
        let next = self.queue.tick(now);
        (self.decide(now), next)
    }

    /// A node counts with the pod from here on, and keeps the room that is made on it.
    fn decide(&mut self, now: Instant) -> Option<Attempt> {
        let key = self.queue.pop()?;
        let pod = self.pending.get(&key)?.clone();
        let decision = self.cycle.decide(&pod, &self.snapshot);
        let mut attempt =
            Attempt { key, pod, at: now, decision, nomination: Nomination::AsItIs, displaced: Vec::new() };
        match &attempt.decision {
            Decision::Node(node) => self.assume(&attempt.key, &attempt.pod, node, now),
            Decision::Unschedulable { refused_by, preemption, .. } => {
                (attempt.nomination, attempt.displaced) = self.prepare(&attempt.key, &attempt.pod, preemption, now);
                // One that others make room for is put back when they have been told to.
                if !matches!(preemption, Outcome::Evict(_)) {
                    self.queue.unschedulable(&attempt.key, refused_by.clone(), now);
                }
            }
        }
        Some(attempt)
    }

    fn assume(&mut self, key: &Key, pod: &Arc<PodInfo>, node: &Arc<str>, now: Instant) {
        let nominated = self.snapshot.withdraw(key);
        self.snapshot.set_pod(node, key, pod.clone());
        self.assumed.insert(key.clone(), node.clone());
        if nominated.is_some_and(|nominated| nominated != *node) {
            self.queue.happened(Hint::PodGone, now);
        }
    }

    /// The nomination that follows from an outcome: what is to be written of it, and whom it displaces.
    fn prepare(
        &mut self, key: &Key, pod: &Arc<PodInfo>, outcome: &Outcome, now: Instant,
    ) -> (Nomination, Vec<Arc<Pod>>) {
        let (node, displaced) = match outcome {
            Outcome::Wait(_) => return (Nomination::AsItIs, Vec::new()),
            Outcome::Nowhere(_) => (None, Vec::new()),
            Outcome::Evict(Candidate { node, .. }) => {
                (Some(node.clone()), self.displace(node, |other| other.priority() < pod.priority(), now))
            }
        };
        let said = nominated_in(&pod.pod) == node.as_deref() && self.snapshot.nomination(key) == node.as_ref();
        self.nominate(key, pod, node.clone(), now);
        let nomination = match node {
            _ if said => Nomination::AsItIs,
            None => Nomination::Nowhere,
            Some(node) => Nomination::Node(node),
        };
        (nomination, displaced)
    }

    /// Takes in how an attempt ended.
    pub(crate) fn ended(&mut self, attempt: &Attempt, end: End, now: Instant) {
        match (&attempt.decision, end) {
            (Decision::Node(_), End::Written) => {}
            (Decision::Node(node), _) => self.retry(&attempt.key, node, now),
            (Decision::Unschedulable { preemption: Outcome::Evict(_), .. }, End::Told(victims)) => {
                self.told(attempt, Some(victims));
            }
            (Decision::Unschedulable { preemption: Outcome::Evict(_), .. }, _) => self.told(attempt, None),
            (Decision::Unschedulable { .. }, _) => {}
        }
    }

    /// The victims of an attempt have been told to go and are like this now; `None`: not all could be told. The
    /// pod waits for their end, or is tried again.
    fn told(&mut self, attempt: &Attempt, victims: Option<Vec<Pod>>) {
        for victim in victims.iter().flatten() {
            self.leaves(victim);
        }
        // The name may be another pod's by now.
        let same = |pod: &Arc<PodInfo>| pod.pod.metadata.uid == attempt.pod.pod.metadata.uid;
        let Decision::Unschedulable { refused_by, .. } = &attempt.decision else { return };
        if !self.pending.get(&attempt.key).is_some_and(same) {
            return;
        }
        match victims {
            Some(_) => self.queue.unschedulable(&attempt.key, refused_by.clone(), attempt.at),
            None => self.queue.failed(&attempt.key, attempt.at),
        }
    }

    /// A pod is leaving. The news of it may come later than the next decision, which must not drive out more.
    fn leaves(&mut self, pod: &Pod) {
        let key = client::informer::key_of(pod);
        let Some(node) = node_of(pod) else { return };
        let known = self.snapshot.node(node).and_then(|info| info.pods.get(&key));
        let stays = |known: &Arc<PodInfo>| {
            known.pod.metadata.uid == pod.metadata.uid && known.pod.metadata.deletion_timestamp.is_none()
        };
        if known.is_some_and(stays) {
            self.snapshot.set_pod(node, &key, Arc::new(PodInfo::new(Arc::new(pod.clone()))));
        }
    }

    /// A binding failed: the node has its room back, and the pod is tried again after its back-off.
    fn retry(&mut self, key: &Key, node: &Arc<str>, now: Instant) {
        if self.assumed.get(key) == Some(node) {
            self.assumed.remove(key);
            self.snapshot.remove_pod(node, key);
            self.queue.failed(key, now);
            self.queue.happened(Hint::PodGone, now);
        }
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|n| !n.is_empty())
}

fn nominated_in(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.nominated_node_name.as_deref().filter(|n| !n.is_empty())
}

fn waits_for_us(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    pod.metadata.deletion_timestamp.is_none()
        && spec.scheduler_name.as_deref().is_none_or(|n| n == NAME)
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
}

/// Whether a change of a node is one that filters look at; heartbeats are not.
fn matters(old: &Node, new: &Node) -> bool {
    let said = |n: &Node| n.status.as_ref().map(|s| (s.allocatable.clone(), s.declared_features.clone()));
    old.spec != new.spec || old.metadata.labels != new.metadata.labels || said(old) != said(new)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
