//! 10,000 pods for 100 nodes that exist as objects alone: created by 64 clients and bound by the scheduler.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{Group, Start, more};
use crate::https::{self, Client};
use crate::load;

const NODES: usize = 100;
const PODS: usize = 10_000;
const CLIENTS: usize = 64;
const PODS_PATH: &str = "/api/v1/namespaces/default/pods";
/// Pods that have a node.
const BOUND: &str = "/api/v1/namespaces/default/pods?watch=1&fieldSelector=spec.nodeName%21%3D";

pub(super) const GROUP: Group = Group {
    name: "scheduling",
    rows: &[more("pods created and bound, 10,000 onto 100 nodes")],
    measure: |start| Box::pin(measure(start)),
};

async fn measure(start: &Start<'_>) -> Result<Vec<f64>> {
    let target = start.whole().await?;
    let mut client = target.connect().await?;
    for number in 0..NODES {
        client.post("/api/v1/nodes", node(&format!("simulated-{number}")).to_string().as_bytes()).await?;
    }
    account(&mut client).await?;
    let mut many = load::connect(&target, CLIENTS).await?;
    let began = Instant::now();
    let create = load::run(&mut many, PODS, pod);
    tokio::try_join!(create, target.appear(BOUND, PODS))?;
    let rate = PODS as f64 / began.elapsed().as_secs_f64();
    drop((client, many));
    target.end()?;
    Ok(vec![rate])
}

/// Waits for the ServiceAccount that pods in `default` run under: a controller makes it.
pub(crate) async fn account(client: &mut Client) -> Result<()> {
    let path = "/api/v1/namespaces/default/serviceaccounts?watch=1";
    client.watch_until(path, |event| event["object"]["metadata"]["name"] == "default").await
}

/// A node that is there and ready as an object, and takes 250 pods.
pub fn node(name: &str) -> serde_json::Value {
    let room = json!({"cpu": "64", "memory": "256Gi", "pods": "250"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"simulated": "yes", "kubernetes.io/hostname": name}},
        "status": {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// It tolerates everything: nobody keeps the nodes alive.
pub(crate) fn pod(number: usize) -> Vec<u8> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p-{number}")},
        "spec": {
            "nodeSelector": {"simulated": "yes"}, "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "c", "image": "none", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}],
        },
    });
    https::post(PODS_PATH, pod.to_string().as_bytes())
}
