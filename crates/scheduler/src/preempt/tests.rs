//! The decisions, at the level of [`schedule`](crate::cycle::schedule) and of the decider itself.

use std::sync::Arc;

use meta::Key;
use serde_json::{Value, json};

use super::{Candidate, Outcome};
use crate::cycle::{Decision, schedule};
use crate::samples::{cluster, leaving, node, pod, ranked};
use crate::snapshot::{PodInfo, Snapshot};

fn key(name: &str) -> Key {
    Key::new("d", name)
}

/// Nodes `n1`, `n2`, … of four CPUs, with these pods.
fn nodes(pods: &[&[Arc<PodInfo>]]) -> Snapshot {
    let names: Vec<String> = (1..=pods.len()).map(|n| format!("n{n}")).collect();
    let list: Vec<_> = names.iter().map(|name| node(name, "4", json!({}), json!({}))).collect();
    let mut snapshot = cluster(&list);
    for (name, pods) in names.iter().zip(pods) {
        pods.iter().for_each(|p| snapshot.set_pod(name, &p.key(), p.clone()));
    }
    snapshot
}

fn outcome(pod: &PodInfo, snapshot: &Snapshot) -> (Outcome, String) {
    match schedule(pod, snapshot, 0) {
        Decision::Unschedulable { preemption, message, .. } => (preemption, message),
        Decision::Node(node) => panic!("fits on {node}"),
    }
}

/// `n1: a b`, the node and its victims.
fn evicted(pod: &PodInfo, snapshot: &Snapshot) -> String {
    match outcome(pod, snapshot).0 {
        Outcome::Evict(Candidate { node, victims }) => {
            let names: Vec<&str> = victims.iter().map(|(key, _)| &*key.name).collect();
            format!("{node}: {}", names.join(" "))
        }
        other => panic!("{other:?}"),
    }
}

fn with(pod: &PodInfo, spec: Value) -> PodInfo {
    let mut value = serde_json::to_value(&*pod.pod).expect("JSON");
    value["spec"].as_object_mut().expect("object").extend(spec.as_object().cloned().unwrap_or_default());
    PodInfo::new(Arc::new(serde_json::from_value(value).expect("a pod")))
}

#[test]
fn as_many_stay_as_fit_the_important_ones_first() {
    let snapshot = nodes(&[&[
        ranked("low", "1", 1, 0),
        ranked("young", "1", 5, 200),
        ranked("old", "1", 5, 100),
        ranked("high", "1", 20, 0),
    ]]);
    assert_eq!(evicted(&ranked("p", "1", 10, 0), &snapshot), "n1: low");
    assert_eq!(evicted(&ranked("p", "2", 10, 0), &snapshot), "n1: young low");
    // The more important one is asked first, and goes if it is in the way, though less would have been lost else.
    let snapshot = nodes(&[&[ranked("little", "500m", 1, 0), ranked("much", "3", 2, 0)]]);
    assert_eq!(evicted(&ranked("p", "1", 10, 0), &snapshot), "n1: little");
    assert_eq!(evicted(&ranked("p", "2", 10, 0), &snapshot), "n1: much");
}

#[test]
fn messages_are_upstreams_in_each_case() {
    let snapshot = nodes(&[&[ranked("a", "4", 1, 0)]]);
    let (_, text) = outcome(&ranked("p", "1", 10, 0), &snapshot);
    assert_eq!(text, "0/1 nodes are available: 1 Insufficient cpu.");
    let because = |pod: &PodInfo, snapshot: &Snapshot| {
        let (outcome, text) = outcome(pod, snapshot);
        let head = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: ";
        (matches!(outcome, Outcome::Wait(_)), text.strip_prefix(head).unwrap_or(&text).to_owned())
    };
    let nowhere = |why: &str| (false, format!("0/1 nodes are available: 1 {why}."));
    let equal = because(&ranked("p", "1", 1, 0), &snapshot);
    assert_eq!(equal, nowhere("No preemption victims found for incoming pod"));
    let too_big = because(&ranked("p", "5", 10, 0), &snapshot);
    assert_eq!(too_big, nowhere("Preemption is not helpful for scheduling"));
    let mixed = nodes(&[&[ranked("a", "1", 1, 0), ranked("b", "3", 20, 0)]]);
    assert_eq!(because(&ranked("p", "2", 10, 0), &mixed), nowhere("Insufficient cpu"));
    let never = with(&ranked("p", "1", 10, 0), json!({"preemptionPolicy": "Never"}));
    assert_eq!(because(&never, &snapshot), (true, "not eligible due to preemptionPolicy=Never.".to_owned()));
}

#[test]
fn nodes_that_no_victim_can_open_are_no_candidates() {
    let mut snapshot = nodes(&[&[ranked("a", "4", 1, 0)], &[ranked("b", "4", 5, 0)]]);
    assert_eq!(evicted(&ranked("p", "1", 10, 0), &snapshot), "n1: a");
    snapshot.set_node(node("n1", "4", json!({"unschedulable": true}), json!({})));
    assert_eq!(evicted(&ranked("p", "1", 10, 0), &snapshot), "n2: b");
}

#[test]
fn the_smallest_loss_is_chosen() {
    let p = ranked("p", "4", 10, 0);
    let full = |name: &str, priority: i32, started: i64| ranked(name, "4", priority, started);
    let half = |name: &str, priority: i32| ranked(name, "2", priority, 0);
    // The lowest highest priority, whatever the sum.
    let snapshot = nodes(&[&[full("a", 3, 0)], &[half("b", 2), half("c", 2)]]);
    assert_eq!(evicted(&p, &snapshot), "n2: b c");
    // Then the sum, in which priorities below zero count too.
    let snapshot = nodes(&[&[half("a", 2), half("b", 2)], &[half("c", 2), half("d", 1)]]);
    assert_eq!(evicted(&p, &snapshot), "n2: c d");
    let snapshot = nodes(&[&[half("a", -2), half("b", -2)], &[full("c", -2, 0)]]);
    assert_eq!(evicted(&p, &snapshot), "n2: c");
    // Then the node whose longest-running victim started last.
    let snapshot = nodes(&[&[full("a", 2, 100)], &[full("b", 2, 300)], &[full("c", 2, 200)]]);
    assert_eq!(evicted(&p, &snapshot), "n2: b");
    // Then the first of those looked at, which is not always the same.
    let snapshot = nodes(&[&[full("a", 2, 0)], &[full("b", 2, 0)]]);
    let chosen = |turn| match schedule(&p, &snapshot, turn) {
        Decision::Unschedulable { preemption: Outcome::Evict(c), .. } => c.node.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!([chosen(0), chosen(1), chosen(2)], ["n1", "n2", "n1"]);
}

#[test]
fn extended_resources_and_ports_are_made_free_too() {
    let port = json!([{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]);
    let snapshot = nodes(&[&[with(&ranked("a", "1", 1, 0), json!({"containers": port})).into()]]);
    let p = with(&ranked("p", "1", 10, 0), json!({"containers": port}));
    assert_eq!(evicted(&p, &snapshot), "n1: a");
    let foo = |n: &str| json!([{"name": "c", "resources": {"requests": {"scheduling.k8s.io/foo": n}}}]);
    let mut n = serde_json::to_value(&*node("n1", "4", json!({}), json!({}))).expect("JSON");
    n["status"]["allocatable"]["scheduling.k8s.io/foo"] = "5".into();
    let mut snapshot = cluster(&[Arc::new(serde_json::from_value(n).expect("a node"))]);
    for (name, priority) in [("low", 1), ("medium", 100)] {
        let pod = with(&ranked(name, "1", priority, 0), json!({"containers": foo("2")}));
        snapshot.set_pod("n1", &key(name), Arc::new(pod));
    }
    let p = with(&ranked("p", "1", 1000, 0), json!({"containers": foo("2")}));
    assert_eq!(evicted(&p, &snapshot), "n1: low");
}

#[test]
fn room_that_is_made_is_for_pods_of_that_priority_and_above() {
    let mut snapshot = nodes(&[&[], &[ranked("b", "4", 50, 0)]]);
    snapshot.nominate(&key("p"), &"n1".into(), ranked("p", "3", 10, 0));
    // Its own, whatever other nodes have: no score is asked.
    assert_eq!(schedule(&ranked("p", "3", 10, 0), &snapshot, 0), Decision::Node("n1".into()));
    assert_eq!(schedule(&ranked("higher", "3", 11, 0), &snapshot, 0), Decision::Node("n1".into()));
    for priority in [10, 9] {
        let (outcome, text) = outcome(&ranked("q", "2", priority, 0), &snapshot);
        assert!(matches!(outcome, Outcome::Nowhere(_)), "{outcome:?}");
        assert!(text.starts_with("0/2 nodes are available: 2 Insufficient cpu."), "{text}");
    }
    assert_eq!(schedule(&ranked("q", "1", 10, 0), &snapshot, 0), Decision::Node("n1".into()));
    snapshot.withdraw(&key("p"));
    assert_eq!(schedule(&ranked("q", "2", 9, 0), &snapshot, 0), Decision::Node("n1".into()));
}

#[test]
fn while_those_that_were_told_are_leaving_no_others_are_told() {
    let (a, b) = (ranked("a", "4", 1, 0), ranked("b", "4", 1, 0));
    let p = ranked("p", "1", 10, 0);
    let mut snapshot = nodes(&[&[leaving(&a)], &[b]]);
    // Another pod that was not nominated there may have the room of one that is leaving.
    assert_eq!(evicted(&p, &snapshot), "n1: a");
    snapshot.nominate(&key("p"), &"n1".into(), p.clone());
    let (waiting, text) = outcome(&p, &snapshot);
    assert_eq!(waiting, Outcome::Wait("not eligible due to a terminating pod on the nominated node."));
    assert!(text.ends_with("preemption: not eligible due to a terminating pod on the nominated node."), "{text}");
    // One that leaves for another reason, or is as important, does not hold it back.
    let mut gone = serde_json::to_value(&*leaving(&a).pod).expect("JSON");
    gone["status"]["conditions"][0]["reason"] = "EvictionByEvictionAPI".into();
    let other = PodInfo::new(Arc::new(serde_json::from_value(gone).expect("a pod")));
    snapshot.set_pod("n1", &key("a"), Arc::new(other));
    assert_eq!(evicted(&p, &snapshot), "n1: a");
    // Nor does a node that is closed to it by now.
    snapshot.set_pod("n1", &key("a"), leaving(&a));
    snapshot.set_node(node("n1", "4", json!({"unschedulable": true}), json!({})));
    assert_eq!(evicted(&p, &snapshot), "n2: b");
}

#[test]
fn enough_candidates_are_enough() {
    let pods: Vec<Vec<Arc<PodInfo>>> =
        (0..150).map(|n| vec![ranked(&format!("a{n}"), "4", if n == 120 { 1 } else { 2 }, 0)]).collect();
    let snapshot = nodes(&pods.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let p = ranked("p", "1", 10, 0);
    let chosen = |turn| match schedule(&p, &snapshot, turn) {
        Decision::Unschedulable { preemption: Outcome::Evict(c), .. } => c.victims[0].1.priority(),
        other => panic!("{other:?}"),
    };
    // The best of all is among the first hundred only when the search begins late enough.
    let found: Vec<i32> = (0..150).map(chosen).collect();
    assert_eq!(found.iter().filter(|p| **p == 1).count(), 100);
}

#[test]
fn pods_without_a_priority_drive_out_nobody() {
    let snapshot = nodes(&[&[pod("4", json!({}))]]);
    let (outcome, _) = outcome(&pod("1", json!({})), &snapshot);
    assert!(matches!(outcome, Outcome::Nowhere(_)));
}
