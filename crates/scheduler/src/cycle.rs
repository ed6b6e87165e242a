//! One scheduling cycle: a pod and a snapshot give a decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::filters::{self, Refused};
use crate::preempt::{self, Outcome};
use crate::scores;
use crate::snapshot::{NodeInfo, PodInfo, Snapshot};

/// What is to be done with a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Bind it to this node.
    Node(Arc<str>),
    /// It fits nowhere now.
    Unschedulable {
        /// Upstream's text, for the event and the condition.
        message: String,
        /// Names of the filters that refused it: what an event must help.
        refused_by: Vec<&'static str>,
        /// What is done so that it fits later.
        preemption: Outcome,
    },
}

/// Decides. `turn` breaks ties between nodes of one score, so that equal nodes are used in turn.
pub fn schedule(pod: &PodInfo, snapshot: &Snapshot, turn: usize) -> Decision {
    let key = pod.key();
    // Where room was made for the pod it goes, if it can, without a look at other nodes.
    if let Some(name) = snapshot.nomination(&key) {
        let node = snapshot.node(name).filter(|node| node.node.is_some());
        if node.is_some_and(|node| filters::check(pod, &key, node).is_ok()) {
            return Decision::Node(name.clone());
        }
    }
    let mut fitting = Vec::new();
    let mut refused = Vec::new();
    for (name, node) in snapshot.nodes() {
        match filters::check(pod, &key, node) {
            Ok(()) => fitting.push((name, node.as_ref())),
            Err((by, rejection)) => refused.push(Refused { name, node, by, rejection }),
        }
    }
    if fitting.is_empty() {
        return unschedulable(pod, snapshot, &refused, turn);
    }
    let name = if let [(only, _)] = fitting[..] { only } else { best(pod, &fitting, turn) };
    Decision::Node(name.clone())
}

fn best<'a>(pod: &PodInfo, fitting: &[(&'a Arc<str>, &NodeInfo)], turn: usize) -> &'a Arc<str> {
    let nodes: Vec<&NodeInfo> = fitting.iter().map(|(_, node)| *node).collect();
    let mut totals = vec![0; nodes.len()];
    for score in scores::ALL {
        totals.iter_mut().zip(score.of_all(pod, &nodes)).for_each(|(total, score)| *total += score);
    }
    let highest = totals.iter().copied().max().unwrap_or(0);
    let ties: Vec<_> = fitting.iter().zip(&totals).filter(|(_, t)| **t == highest).map(|((n, _), _)| *n).collect();
    ties[turn % ties.len()]
}

/// Upstream: `FitError`, with what its PostFilter plug-ins add when they cannot help.
fn unschedulable(pod: &PodInfo, snapshot: &Snapshot, refused: &[Refused<'_>], turn: usize) -> Decision {
    let mut refused_by: Vec<&'static str> = refused.iter().map(|r| r.by).collect();
    refused_by.sort_unstable();
    refused_by.dedup();
    if refused.is_empty() {
        let message = "no nodes available to schedule pods".to_owned();
        return Decision::Unschedulable { message, refused_by, preemption: Outcome::Nowhere(Vec::new()) };
    }
    let reasons = refused.iter().flat_map(|r| r.rejection.reasons.iter().map(String::as_str));
    let message = available(refused.len(), reasons);
    let preemption = preempt::decide(pod, refused, snapshot, turn);
    let why = match &preemption {
        Outcome::Evict(_) => return Decision::Unschedulable { message, refused_by, preemption },
        Outcome::Wait(why) => (*why).to_owned(),
        Outcome::Nowhere(reasons) => available(refused.len(), reasons.iter().map(String::as_str)),
    };
    let message = format!("{message} no new claims to deallocate, preemption: {why}");
    Decision::Unschedulable { message, refused_by, preemption }
}

/// `0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory.`
fn available<'a>(nodes: usize, reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    reasons.for_each(|reason| *counts.entry(reason).or_default() += 1);
    let mut shown: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    shown.sort();
    format!("0/{nodes} nodes are available: {}.", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{cluster, node, pod};
    use meta::Key;
    use serde_json::{Value, json};

    fn message(decision: Decision) -> String {
        match decision {
            Decision::Unschedulable { message, .. } => message,
            Decision::Node(node) => panic!("fits on {node}"),
        }
    }

    #[test]
    fn the_message_counts_reasons_as_upstream_does() {
        let tainted = json!({"taints": [{"key": "a", "effect": "NoSchedule"}]});
        let nodes = [
            node("n1", "1", json!({}), json!({})),
            node("n2", "1", json!({}), json!({})),
            node("n3", "8", json!({"unschedulable": true}), json!({})),
            node("n4", "8", tainted, json!({})),
        ];
        let mut snapshot = cluster(&nodes);
        assert_eq!(
            message(schedule(&pod("2", json!({})), &snapshot, 0)),
            "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, \
             2 Insufficient cpu. no new claims to deallocate, preemption: 0/4 nodes are available: \
             4 Preemption is not helpful for scheduling."
        );
        // n1 and n2 are full, not too small: another pod's end would help.
        for n in ["n1", "n2"] {
            snapshot.set_pod(n, &Key::new("d", n), pod("900m", json!({})));
        }
        let text = message(schedule(&pod("500m", json!({})), &snapshot, 0));
        assert!(text.ends_with("2 No preemption victims found for incoming pod, 2 Preemption is not helpful for \
             scheduling."), "{text}");
        assert_eq!(
            message(schedule(&pod("1", json!({})), &Snapshot::default(), 0)),
            "no nodes available to schedule pods"
        );
    }

    #[test]
    fn filters_let_the_right_nodes_pass() {
        let tainted = json!({"taints": [{"key": "a", "value": "b", "effect": "NoExecute"}]});
        let snapshot = cluster(&[
            node("plain", "4", json!({}), json!({"zone": "x"})),
            node("special", "4", tainted, json!({"zone": "y", "size": "5"})),
        ]);
        let on = |more: Value| schedule(&pod("1", more), &snapshot, 0);
        let tolerate = json!([{"key": "a", "operator": "Exists"}]);
        assert_eq!(on(json!({})), Decision::Node("plain".into()));
        assert_eq!(
            on(json!({"nodeSelector": {"zone": "y"}, "tolerations": tolerate})),
            Decision::Node("special".into())
        );
        let required = |operator: &str, value: &str| {
            let expression = json!({"key": "size", "operator": operator, "values": [value]});
            json!({"tolerations": tolerate, "affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}})
        };
        assert_eq!(on(required("Gt", "4")), Decision::Node("special".into()));
        assert!(matches!(on(required("Lt", "4")), Decision::Unschedulable { .. }));
    }

    #[test]
    fn ports_collide_also_with_the_wildcard() {
        let mut snapshot = cluster(&[node("n", "4", json!({}), json!({}))]);
        let with = |ip: Option<&str>, protocol: &str| {
            let port = json!({"containerPort": 80, "hostPort": 80, "hostIP": ip, "protocol": protocol});
            pod("1", json!({"containers": [{"name": "c", "ports": [port]}]}))
        };
        snapshot.set_pod("n", &Key::new("d", "a"), with(Some("127.0.0.1"), "TCP"));
        assert!(matches!(schedule(&with(None, "TCP"), &snapshot, 0), Decision::Unschedulable { .. }));
        assert!(matches!(schedule(&with(Some("10.0.0.1"), "TCP"), &snapshot, 0), Decision::Node(_)));
        assert!(matches!(schedule(&with(None, "UDP"), &snapshot, 0), Decision::Node(_)));
    }

    #[test]
    fn pods_spread_by_free_resources() {
        let mut snapshot = cluster(&[node("a", "4", json!({}), json!({})), node("b", "4", json!({}), json!({}))]);
        for i in 0..6 {
            let p = pod("500m", json!({}));
            let Decision::Node(n) = schedule(&p, &snapshot, i) else { panic!("fits") };
            snapshot.set_pod(&n, &Key::new("d", &i.to_string()), p);
        }
        assert_eq!(snapshot.nodes().map(|(_, n)| n.pods.len()).collect::<Vec<_>>(), [3, 3]);
    }
}
