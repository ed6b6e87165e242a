//! A node that runs short of something, and pods that want the same.

use std::time::Duration;

use serde_json::{Value, json};

use super::life::{CONFIG_MAP, POD, World, config_map, pod};
use crate::pressure::thresholds::{Wording, parse};
use crate::pressure::watch::Watch;
use crate::pressure::look;

const NODE: &str = "/api/v1/nodes/n1";
const SECOND: &str = "/api/v1/namespaces/ns/pods/q";

fn named(path: &str, priority: i32) -> (String, Value) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut pod = pod("Always", "i");
    pod["metadata"]["name"] = name.into();
    pod["metadata"]["uid"] = format!("uid-{name}").into();
    pod["spec"]["priority"] = priority.into();
    (path.to_owned(), pod)
}

fn put(world: &World, (path, pod): (String, Value)) {
    world.api.put(&path, pod);
}

fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let list = object["status"]["conditions"].as_array();
    list.and_then(|list| list.iter().find(|c| c["type"] == type_)).unwrap_or(&Value::Null)
}

async fn phase(world: &World, path: &str, phase: &str) -> Value {
    world.until(path, phase, |o| o.is_some_and(|o| o["status"]["phase"] == phase)).await.expect("a pod")
}

/// The message of the first event with this reason.
async fn event(changes: &mut tokio::sync::broadcast::Receiver<(String, Value)>, reason: &str) -> Value {
    let found = async {
        loop {
            let (_, change) = changes.recv().await.expect("a change");
            if change["object"]["reason"] == reason {
                return change["object"].clone();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("an event")
}

#[tokio::test]
async fn a_full_disk_costs_a_pod_and_lets_no_other_in() {
    let world = World::start();
    world.api.put(CONFIG_MAP, config_map());
    put(&world, named(POD, 7));
    put(&world, named(SECOND, 0));
    phase(&world, POD, "Running").await;
    phase(&world, SECOND, "Running").await;
    let wording = Wording { hard: "imagefs.available<10%", soft: "", soft_grace: "", reclaim: "" };
    let mut watch = Watch::new(parse(&wording).expect("good"), Duration::from_secs(300));
    assert!(look(&world.agent, &mut watch).await.is_none(), "there is room");
    *world.runtime.disk.lock().expect("lock") = (1000, 50);
    let mut changes = world.api.changes();
    let evicted = look(&world.agent, &mut watch).await.expect("one goes");
    assert_eq!(crate::spec::name(&evicted), "q", "the less important one");
    assert_eq!(event(&mut changes, "EvictionThresholdMet").await["message"], "Attempting to reclaim ephemeral-storage");
    let failed = phase(&world, SECOND, "Failed").await;
    let message = "The node was low on resource: ephemeral-storage. Threshold quantity: 100, available: 50. \
                   Container a was using 4Ki, request is 0, has larger consumption of ephemeral-storage. ";
    assert_eq!((&failed["status"]["reason"], &failed["status"]["message"]), (&json!("Evicted"), &json!(message)));
    let target = condition(&failed, "DisruptionTarget");
    assert_eq!((&target["status"], &target["reason"]), (&json!("True"), &json!("TerminationByKubelet")));
    assert_eq!(target["message"], message);
    let short = |o: Option<&Value>| o.is_some_and(|o| condition(o, "DiskPressure")["status"] == "True");
    let node = world.until(NODE, "a condition", short).await.expect("a node");
    assert_eq!(condition(&node, "DiskPressure")["reason"], "KubeletHasDiskPressure");
    let third = "/api/v1/namespaces/ns/pods/r";
    put(&world, named(third, 9));
    let refused = phase(&world, third, "Failed").await;
    let message = "Pod was rejected: The node had condition: [DiskPressure]. ";
    assert_eq!((&refused["status"]["reason"], &refused["status"]["message"]), (&json!("Evicted"), &json!(message)));
    assert_eq!(phase(&world, POD, "Running").await["status"]["reason"], Value::Null);
    world.stop.cancel();
}

#[tokio::test]
async fn of_two_pods_one_gets_the_port_and_a_critical_one_the_room() {
    let world = World::start();
    let ready = |o: Option<&Value>| o.is_some_and(|o| condition(o, "Ready")["status"] == "True");
    let node = world.until(NODE, "a node", ready).await.expect("a node");
    world.api.put(CONFIG_MAP, config_map());
    let cpus: i64 = node["status"]["allocatable"]["cpu"].as_str().and_then(|cpus| cpus.parse().ok()).expect("CPUs");
    let asks = |path: &str, priority: i32| {
        let (path, mut pod) = named(path, priority);
        pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": cpus}});
        (path, pod)
    };
    put(&world, asks(POD, 0));
    phase(&world, POD, "Running").await;
    put(&world, asks(SECOND, 1));
    let refused = phase(&world, SECOND, "Failed").await;
    assert_eq!(refused["status"]["reason"], "OutOfcpu");
    let critical = "/api/v1/namespaces/ns/pods/r";
    put(&world, asks(critical, 2_000_000_000));
    let gone = phase(&world, POD, "Failed").await;
    assert_eq!(gone["status"]["reason"], "Preempting");
    assert_eq!(gone["status"]["message"], "Preempted in order to admit critical pod");
    let why = "Pod was preempted by Kubelet to accommodate a critical pod.";
    assert_eq!(condition(&gone, "DisruptionTarget")["message"], why);
    phase(&world, critical, "Running").await;
    world.stop.cancel();
}
