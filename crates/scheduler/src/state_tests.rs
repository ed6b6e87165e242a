//! Changes in, attempts out: what the actor would see.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::samples::{leaving, node, ranked};

/// A state with the clock at its beginning.
struct World {
    state: State,
    now: Instant,
}

impl World {
    /// One node of four CPUs.
    fn new() -> Self {
        let mut world = World { state: State::default(), now: Instant::now() };
        let change = Change { old: None, new: Some(node("n", "4", json!({}), json!({}))) };
        world.state.node_changed(&change, world.now);
        world
    }

    fn pod(&mut self, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) {
        self.state.pod_changed(&Change { old: old.cloned(), new: new.cloned() }, self.now);
    }

    fn next(&mut self) -> Option<Attempt> {
        self.state.next(self.now).0
    }

    /// After every back-off.
    fn later(&mut self) {
        self.now += Duration::from_secs(60);
    }

    fn nominated(&self, name: &str) -> Option<&str> {
        self.state.snapshot.nomination(&Key::new("d", name)).map(|node| &**node)
    }
}

fn change(pod: &Pod, change: impl FnOnce(&mut Value)) -> Arc<Pod> {
    let mut value = serde_json::to_value(pod).expect("JSON");
    change(&mut value);
    Arc::new(serde_json::from_value(value).expect("a pod"))
}

/// On the node already.
fn running(name: &str, cpu: &str, priority: i32) -> Arc<Pod> {
    change(&ranked(name, cpu, priority, 0).pod, |pod| pod["spec"]["nodeName"] = "n".into())
}

fn waiting(name: &str, cpu: &str, priority: i32) -> Arc<Pod> {
    ranked(name, cpu, priority, 0).pod.clone()
}

fn left(victim: &Pod) -> Pod {
    (*leaving(&PodInfo::new(Arc::new(victim.clone()))).pod).clone()
}

fn evicts(attempt: &Attempt) -> bool {
    matches!(&attempt.decision, Decision::Unschedulable { preemption: Outcome::Evict(_), .. })
}

#[test]
fn a_preemptor_waits_for_the_end_of_its_victim_and_gets_the_room() {
    let (mut world, victim, preemptor) = (World::new(), running("v", "3", 1), waiting("p", "3", 10));
    world.pod(None, Some(&victim));
    world.pod(None, Some(&preemptor));
    let first = world.next().expect("a pod");
    assert!(evicts(&first));
    assert_eq!((first.nomination.clone(), world.nominated("p")), (Nomination::Node("n".into()), Some("n")));
    // The victim is told; a pod of the same priority that comes now is not let into the gap.
    let rival = waiting("r", "2", 10);
    world.pod(None, Some(&rival));
    let refused = world.next().expect("the rival");
    assert!(matches!(refused.decision, Decision::Unschedulable { preemption: Outcome::Nowhere(_), .. }));
    world.state.told(&first, Some(vec![left(&victim)]));
    world.later();
    assert!(world.next().is_none());
    // The news of the deletion comes later than the answer; then the victim is gone.
    let going = Arc::new(left(&victim));
    world.pod(Some(&victim), Some(&going));
    world.pod(Some(&going), None);
    let second = world.next().expect("the preemptor again");
    assert_eq!((&*second.key.name, &second.decision), ("p", &Decision::Node("n".into())));
    assert_eq!(world.nominated("p"), None);
    let third = world.next().expect("the rival again");
    assert!(matches!(third.decision, Decision::Unschedulable { .. }));
}

#[test]
fn what_happens_while_victims_are_told_is_not_missed() {
    let (mut world, a, b) = (World::new(), running("a", "2", 1), running("b", "2", 1));
    world.pod(None, Some(&a));
    world.pod(None, Some(&b));
    world.pod(None, Some(&waiting("p", "4", 10)));
    let first = world.next().expect("a pod");
    world.pod(Some(&a), None);
    assert!(world.next().is_none(), "not before all victims are told");
    world.state.told(&first, Some(vec![left(&b)]));
    assert!(world.next().is_none(), "the back-off is kept");
    world.later();
    // One is gone, the answer about the other one came before its news: no second round begins.
    let second = world.next().expect("again");
    let Decision::Unschedulable { preemption, .. } = &second.decision else { panic!("b is there") };
    assert_eq!(preemption, &Outcome::Wait("not eligible due to a terminating pod on the nominated node."));
    assert_eq!((second.nomination, world.nominated("p")), (Nomination::AsItIs, Some("n")));
}

#[test]
fn a_preemption_that_failed_is_tried_again_after_the_back_off() {
    let mut world = World::new();
    world.pod(None, Some(&running("v", "4", 1)));
    world.pod(None, Some(&waiting("p", "1", 10)));
    let first = world.next().expect("a pod");
    world.state.told(&first, None);
    assert!(world.next().is_none());
    world.later();
    assert!(evicts(&world.next().expect("again")));
}

#[test]
fn a_pod_of_the_same_name_is_not_put_back_for_another() {
    let (mut world, p) = (World::new(), waiting("p", "1", 10));
    world.pod(None, Some(&running("v", "4", 1)));
    world.pod(None, Some(&p));
    let first = world.next().expect("a pod");
    world.pod(Some(&p), None);
    assert_eq!(world.nominated("p"), None);
    world.pod(None, Some(&change(&p, |p| p["metadata"]["uid"] = "other".into())));
    let second = world.next().expect("the new one");
    world.state.told(&first, Some(Vec::new()));
    world.state.told(&second, None);
    world.later();
    assert!(world.next().is_some(), "it was tried again as the second attempt says");
}

#[test]
fn a_higher_pod_takes_the_place_of_a_lower_one_that_was_nominated() {
    let (mut world, victim, low) = (World::new(), running("v", "4", 1), waiting("low", "4", 10));
    world.pod(None, Some(&victim));
    world.pod(None, Some(&low));
    let first = world.next().expect("a pod");
    world.state.told(&first, Some(vec![left(&victim)]));
    world.pod(Some(&low), Some(&change(&low, |p| p["status"]["nominatedNodeName"] = "n".into())));
    assert_eq!(world.nominated("low"), Some("n"));
    world.pod(None, Some(&waiting("high", "4", 20)));
    let second = world.next().expect("the higher one");
    assert!(evicts(&second));
    let displaced: Vec<_> = second.displaced.iter().map(|p| p.metadata.name.as_deref().unwrap_or("")).collect();
    assert_eq!((displaced, world.nominated("low"), world.nominated("high")), (vec!["low"], None, Some("n")));
    // It looks for another place at once, and does not find one.
    let third = world.next().expect("the lower one");
    assert_eq!(&*third.key.name, "low");
    assert!(matches!(third.decision, Decision::Unschedulable { preemption: Outcome::Nowhere(_), .. }));
}

#[test]
fn a_nomination_that_does_not_help_any_more_is_taken_back() {
    let (mut world, p) = (World::new(), waiting("p", "3", 10));
    let nominated = change(&p, |p| p["status"]["nominatedNodeName"] = "n".into());
    world.pod(None, Some(&running("v", "2", 20)));
    world.pod(None, Some(&nominated));
    assert_eq!(world.nominated("p"), Some("n"));
    let attempt = world.next().expect("a pod");
    assert_eq!((attempt.nomination, world.nominated("p")), (Nomination::Nowhere, None));
    // News that is older than the decision changes nothing, news of another one does.
    let seen = change(&p, |p| p["metadata"]["labels"] = json!({"a": "b"}));
    world.pod(Some(&p), Some(&seen));
    assert_eq!(world.nominated("p"), None);
    world.pod(Some(&seen), Some(&nominated));
    assert_eq!(world.nominated("p"), Some("n"));
    world.pod(Some(&nominated), Some(&seen));
    assert_eq!(world.nominated("p"), None);
}

#[test]
fn the_room_of_a_nominated_pod_that_is_deleted_and_the_end_of_its_node_help_others() {
    let (mut world, p) = (World::new(), waiting("p", "3", 10));
    let nominated = change(&p, |p| p["status"]["nominatedNodeName"] = "n".into());
    let gated = change(&nominated, |p| p["spec"]["schedulerName"] = "another".into());
    world.pod(None, Some(&gated));
    assert_eq!(world.nominated("p"), None, "not one of ours");
    world.pod(Some(&gated), Some(&nominated));
    assert_eq!(world.nominated("p"), Some("n"));
    // The lower one is decided upon after the higher one, which goes first where it is nominated.
    assert_eq!(world.next().map(|a| a.decision), Some(Decision::Node("n".into())));
    world.state.retry(&Key::new("d", "p"), &"n".into(), world.now);
    world.pod(Some(&p), Some(&nominated));
    world.pod(None, Some(&waiting("q", "2", 5)));
    assert!(matches!(world.next().map(|a| a.decision), Some(Decision::Unschedulable { .. })));
    world.pod(Some(&nominated), None);
    world.later();
    assert_eq!(world.next().map(|a| a.decision), Some(Decision::Node("n".into())));
    // A node that goes takes its nominations with it.
    world.pod(None, Some(&change(&nominated, |p| p["metadata"]["name"] = "s".into())));
    let gone = Change { old: Some(node("n", "4", json!({}), json!({}))), new: None };
    world.state.node_changed(&gone, world.now);
    assert_eq!(world.nominated("s"), None);
}

#[test]
fn pods_of_other_schedulers_and_behind_gates_are_left_alone() {
    let mut world = World::new();
    let other = change(&waiting("o", "1", 0), |pod| pod["spec"]["schedulerName"] = "other".into());
    let gated = change(&waiting("g", "1", 0), |pod| pod["spec"]["schedulingGates"] = json!([{"name": "example.com/gate"}]));
    world.pod(None, Some(&other));
    world.pod(None, Some(&gated));
    assert!(world.next().is_none());
    let open = change(&gated, |pod| pod["spec"]["schedulingGates"] = json!([]));
    world.pod(Some(&gated), Some(&open));
    assert_eq!(world.next().map(|attempt| attempt.key.name.to_string()).as_deref(), Some("g"));
}
