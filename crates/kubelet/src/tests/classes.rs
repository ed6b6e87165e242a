//! Classes of the runtime.

use serde_json::json;

use super::life::{CONFIG_MAP, POD, World, config_map, pod};

const CLASS: &str = "/apis/node.k8s.io/v1/runtimeclasses/vm";

#[tokio::test]
async fn a_pod_runs_by_the_handler_of_its_class_or_does_not_start() {
    let world = World::with_config(super::api::Api::new(), |config| config.handlers = vec!["runc".to_owned(), "ironclad".to_owned()]);
    let node = |o: Option<&serde_json::Value>| o.is_some_and(|o| o["status"]["runtimeHandlers"].is_array());
    let node = world.until("/api/v1/nodes/n1", "a node", node).await.expect("a node");
    let names: Vec<_> = node["status"]["runtimeHandlers"].as_array().expect("a list").iter().map(|h| h["name"].clone()).collect();
    assert_eq!(names, ["", "ironclad", "runc"]);
    let class = |handler: &str| json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "vm", "uid": handler}, "handler": handler});
    let refused = async |words: &str| {
        let mut changes = world.api.changes();
        loop {
            let (_, change) = changes.recv().await.expect("a change");
            let event = &change["object"];
            if event["reason"] == "FailedCreatePodSandBox" && event["message"].as_str().is_some_and(|m| m.ends_with(words)) {
                return;
            }
        }
    };
    let soon = std::time::Duration::from_secs(20);
    world.api.put(CONFIG_MAP, config_map());
    let mut classed = pod("Always", "i");
    classed["spec"]["runtimeClassName"] = json!("vm");
    let (said, _) = tokio::join!(
        tokio::time::timeout(soon, refused("Failed to create pod sandbox: runtimeclass.node.k8s.io \"vm\" not found")),
        async { world.api.put(POD, classed) },
    );
    said.expect("an event about the class");
    let (said, _) = tokio::join!(
        tokio::time::timeout(soon, refused("failed to get sandbox runtime: no runtime for \"kata\" is configured")),
        async { world.api.put(CLASS, class("kata")) },
    );
    said.expect("an event about the handler");
    assert!(runtime::Runtime::pod(&*world.runtime, "u1").await.expect("answer").is_none());
    world.api.put(CLASS, class("runc"));
    world.phase("Running").await;
    world.stop.cancel();
}
