//! One cycle, and many of them.

use std::collections::BTreeSet;

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

/// Numbers that look random, the same in every run of one seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn any_node(dice: &mut Dice, number: usize) -> Arc<k8s_openapi::api::core::v1::Node> {
    let zone = ["a", "b", "c"][dice.below(3)];
    let taint = |effect| json!([{"key": "t", "value": "v", "effect": effect}]);
    let taints = [json!([]), taint("NoSchedule"), taint("PreferNoSchedule")][dice.below(3)].clone();
    let spec = json!({"taints": taints, "unschedulable": dice.below(9) == 0});
    node(&format!("n{number:04}"), &format!("{}", 1 + dice.below(6)), spec, json!({"zone": zone}))
}

/// Pods that differ in one thing that some filter or score looks at.
fn kinds_of_pods() -> Vec<Arc<PodInfo>> {
    let prefer = |zone: &str, weight: i32| {
        let term = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]});
        json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": weight, "preference": term}]}}})
    };
    let more = [
        json!({}),
        json!({"priority": 5}),
        json!({"nodeSelector": {"zone": "a"}}),
        json!({"nodeName": "n0003"}),
        json!({"tolerations": [{"key": "t", "operator": "Exists"}]}),
        json!({"tolerations": [{"key": "t", "operator": "Exists", "effect": "PreferNoSchedule"}]}),
        json!({"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}),
        json!({"overhead": {"memory": "1Gi"}}),
        json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]}),
        json!({"containers": [{"name": "c", "restartPolicyRules": [{"action": "RestartAllContainers"}]}]}),
        json!({"resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}]}),
        prefer("a", 10),
        prefer("b", 10),
    ];
    let sizes = ["100m", "1"].into_iter().map(|cpu| pod(cpu, json!({})));
    more.into_iter().map(|more| pod("500m", more)).chain(sizes).collect()
}

fn named(kind: &PodInfo, name: &str) -> Arc<PodInfo> {
    let mut pod = (*kind.pod).clone();
    pod.metadata.name = Some(name.to_owned());
    Arc::new(PodInfo::new(Arc::new(pod)))
}

#[test]
fn pods_of_one_signature_are_judged_alike_everywhere() {
    let (mut dice, pods) = (Dice(7), kinds_of_pods());
    let mut snapshot = cluster(&(0..60).map(|n| any_node(&mut dice, n)).collect::<Vec<_>>());
    snapshot.set_pod("n0005", &Key::new("d", "taken"), pods[8].clone());
    snapshot.nominate(&Key::new("d", "soon"), &"n0006".into(), pod("3", json!({"priority": 3})));
    let judged = |pod: &PodInfo| -> Vec<_> {
        let of = |node: &NodeInfo| {
            let scores: Vec<i64> = scores::ALL.iter().map(|score| (score.score)(pod, node)).collect();
            (filters::check(pod, &pod.key(), node).map_err(|(by, _)| by), scores)
        };
        snapshot.nodes().map(|(_, node)| of(node)).collect()
    };
    let mut differ = 0;
    for (i, a) in pods.iter().enumerate() {
        assert_eq!(Signature::of(a), Signature::of(&named(a, "another")), "a name decides nothing");
        for b in &pods[..i] {
            let alike = judged(a) == judged(b);
            assert!(alike || Signature::of(a) != Signature::of(b), "{:?} and {:?}", a.pod.spec, b.pod.spec);
            differ += usize::from(!alike);
        }
    }
    assert!(differ > 60, "the nodes tell only {differ} pairs apart");
}

#[test]
fn whatever_changes_the_ranked_decision_is_one_of_the_best() {
    for seed in 0..20 {
        let (mut dice, kinds) = (Dice(seed), kinds_of_pods());
        let mut snapshot = cluster(&(0..30).map(|n| any_node(&mut dice, n)).collect::<Vec<_>>());
        let (mut cycle, mut placed, mut ranked) = (Cycle::default(), Vec::new(), 0);
        for step in 0..400 {
            let number = dice.below(40);
            match dice.below(12) {
                0 => snapshot.set_node(any_node(&mut dice, number)),
                1 => snapshot.remove_node(&format!("n{number:04}")),
                2 if !placed.is_empty() => {
                    let (key, node): (Key, Arc<str>) = placed.swap_remove(dice.below(placed.len()));
                    snapshot.remove_pod(&node, &key);
                }
                3 => {
                    let kind = named(&kinds[1], "nominated");
                    snapshot.nominate(&kind.key(), &format!("n{number:04}").into(), kind);
                }
                4 => drop(snapshot.withdraw(&Key::new("", "nominated"))),
                _ => {
                    let pod = named(&kinds[dice.below(kinds.len())], &format!("p{step}"));
                    let seen = cycle.kinds.contains_key(&Signature::of(&pod));
                    let scan = scan(&pod, snapshot.nodes(), usize::MAX);
                    match cycle.decide(&pod, &snapshot) {
                        Decision::Node(name) => {
                            let best: BTreeSet<_> = best(&pod, &scan.fitting).into_iter().collect();
                            assert!(best.contains(&name), "seed {seed}, step {step}: {name} is not among {best:?}");
                            snapshot.set_pod(&name, &pod.key(), pod.clone());
                            placed.push((pod.key(), name));
                            ranked += usize::from(seen);
                        }
                        Decision::Unschedulable { message, .. } => {
                            assert!(scan.fitting.is_empty(), "seed {seed}, step {step}: {message}");
                        }
                    }
                }
            }
        }
        assert!(ranked > 50, "seed {seed}: only {ranked} ranked decisions");
    }
}

#[test]
fn a_decision_costs_what_has_changed_however_many_nodes_there_are() {
    let nodes: Vec<_> = (0..5000).map(|n| node(&format!("n{n:04}"), "64", json!({}), json!({}))).collect();
    let mut snapshot = cluster(&nodes);
    let first = named(&pod("100m", json!({})), "p");
    let mut ranking = Ranking::new(&first, &snapshot);
    for number in 0..1000 {
        let pod = named(&first, &format!("p{number}"));
        let node = ranking.best(number).expect("one fits").clone();
        snapshot.set_pod(&node, &pod.key(), pod.clone());
        assert_eq!(ranking.catch_up(&pod, &snapshot), 1);
    }
    // Equal nodes are used in turn, not one to its end.
    assert!(snapshot.nodes().all(|(_, node)| node.pods.len() <= 1));
    // What is forgotten is judged anew, and so is all.
    nodes.iter().cycle().take(5000 * 4 + 1025).for_each(|node| snapshot.set_node(node.clone()));
    assert_eq!(ranking.catch_up(&first, &snapshot), 5000);
    // A pod whose like was not seen yet is given to the best of some.
    assert_eq!(scan(&first, snapshot.nodes_behind("n2000"), enough(5000)).last.map(|n| &**n), Some("n2500"));
    assert_eq!([enough(1), enough(150), enough(1000), enough(10_000)], [100, 100, 420, 500]);
}

#[test]
fn a_refusal_is_kept_until_something_changes() {
    let mut snapshot = cluster(&[node("n", "4", json!({}), json!({}))]);
    let (mut cycle, big) = (Cycle::default(), pod("8", json!({})));
    let refused: Vec<_> = (0..3).map(|_| message(cycle.decide(&big, &snapshot))).collect();
    assert!(refused.iter().all(|m| m == &refused[0]));
    assert!(cycle.kinds.values().all(|kind| kind.refused.is_some()));
    snapshot.set_node(node("n", "8", json!({}), json!({})));
    assert_eq!(cycle.decide(&big, &snapshot), Decision::Node("n".into()));
}

#[test]
fn what_is_remembered_of_kinds_is_bounded() {
    let snapshot = cluster(&[node("n", "4", json!({}), json!({}))]);
    let mut cycle = Cycle::default();
    for number in 0..SIGNATURES * 2 {
        cycle.decide(&pod("1", json!({"nodeSelector": {"n": number.to_string()}})), &snapshot);
        assert!(cycle.kinds.len() <= SIGNATURES);
    }
    let latest = Signature::of(&pod("1", json!({"nodeSelector": {"n": (SIGNATURES * 2 - 1).to_string()}})));
    assert!(cycle.kinds.contains_key(&latest));
}
