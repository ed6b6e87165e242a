//! Pods that take too much of the disk.

use serde_json::{Value, json};

use super::life::{CONFIG_MAP, POD, World, config_map, pod};
use crate::storage;
use crate::storage::limits::Limits;

/// A pod whose volume may have a mebibyte, and runs.
async fn limited(world: &World) -> Value {
    world.api.put(CONFIG_MAP, config_map());
    let mut limited = pod("Always", "i");
    limited["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] = "1Mi".into();
    world.api.put(POD, limited);
    world.phase("Running").await
}

/// Looks at the pod as the agent does when it is its turn.
async fn look(world: &World) -> storage::limits::Usage {
    let pod = world.agent.pods.find("ns", "p").expect("known");
    let limits = Limits::of(&pod).expect("it has a limit");
    storage::look(&world.agent, &pod, &limits).await.expect("measured")
}

const MESSAGE: &str = "Usage of EmptyDir volume \"e\" exceeds the limit \"1Mi\". ";

#[tokio::test]
async fn a_pod_that_fills_its_volume_is_evicted() {
    let world = World::start();
    limited(&world).await;
    let volume = world.dir.path().join("data/pods/u1/volumes/kubernetes.io~empty-dir/e");
    std::fs::write(volume.join("file"), vec![1; 1 << 19]).expect("written");
    assert!((1 << 19..1 << 20).contains(&look(&world).await.total().bytes));
    assert_eq!(world.phase("Running").await["status"]["reason"], Value::Null, "within its limit");
    std::fs::write(volume.join("file"), vec![1; 2 << 20]).expect("written");
    look(&world).await;
    let failed = world.phase("Failed").await;
    let status = &failed["status"];
    assert_eq!((&status["reason"], &status["message"]), (&json!("Evicted"), &json!(MESSAGE)));
    assert!(status["containerStatuses"][0]["state"]["terminated"].is_object(), "{status:#}");
    assert_eq!(status["conditions"].as_array().map(|list| list.iter().any(|c| c["type"] == "DisruptionTarget")), Some(false));
    world.stop.cancel();
}

#[tokio::test]
async fn an_eviction_that_has_begun_is_not_forgotten() {
    let world = World::start();
    limited(&world).await;
    world.stop.cancel();
    world.agent.pods.abort_all();
    let World { api, runtime, dir, .. } = world;
    std::fs::write(dir.path().join("data/pods/u1/evicted"), MESSAGE).expect("written");
    let world = World::with(api, runtime, dir);
    let failed = world.phase("Failed").await;
    assert_eq!((&failed["status"]["reason"], &failed["status"]["message"]), (&json!("Evicted"), &json!(MESSAGE)));
    world.stop.cancel();
}
