//! What waits for something outside of the node keeps no other pod from its start.

use serde_json::{Value, json};

use super::life::{CONFIG_MAP, POD, World, config_map, pod};

/// More than the permits for starts.
const MANY: usize = 18;

fn path(at: usize) -> String {
    format!("{POD}{at}")
}

/// Pods that differ in name and uid alone.
fn many(world: &World, like: &Value) {
    world.api.put(CONFIG_MAP, config_map());
    for at in 0..MANY {
        let mut pod = like.clone();
        pod["metadata"]["name"] = format!("p{at}").into();
        pod["metadata"]["uid"] = format!("many-{at}").into();
        world.api.put(&path(at), pod);
    }
}

async fn stuck(world: &World, count: usize) {
    let mut seen = world.runtime.stuck.subscribe();
    let all = seen.wait_for(|now| *now == count);
    let all = tokio::time::timeout(std::time::Duration::from_secs(20), all).await;
    assert!(all.is_ok(), "{} instead of {count}", *world.runtime.stuck.borrow());
}

fn deleted(mut pod: Value) -> Value {
    pod["metadata"]["deletionTimestamp"] = json!("2020-01-01T00:00:00Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(1);
    pod
}

#[tokio::test]
async fn a_dead_registry_stops_no_other_start() {
    let world = World::start();
    many(&world, &pod("Always", "hole"));
    stuck(&world, MANY).await;
    world.api.put(POD, pod("Always", "i"));
    world.phase("Running").await;
    world.api.put(&path(3), deleted(world.api.get(&path(3)).expect("a pod")));
    world.until(&path(3), "the end", |o| o.is_none()).await;
    stuck(&world, MANY - 1).await;
    world.stop.cancel();
}

#[tokio::test]
async fn a_hook_that_does_not_end_stops_no_other_start() {
    let world = World::start();
    let mut like = pod("Always", "i");
    like["spec"]["containers"][0]["lifecycle"] = json!({"postStart": {"exec": {"command": ["hang"]}}});
    many(&world, &like);
    stuck(&world, MANY).await;
    world.api.put(POD, pod("Always", "i"));
    world.phase("Running").await;
    world.stop.cancel();
}
