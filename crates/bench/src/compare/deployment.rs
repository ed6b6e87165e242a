//! A Deployment of 500 replicas, from its creation until all pods of its ReplicaSet are stored. No node takes them.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{Group, Start, less, scheduling};

const REPLICAS: usize = 500;

pub(super) const GROUP: Group = Group {
    name: "deployment",
    rows: &[less("Deployment of 500 to its last pod stored", "s")],
    measure: |start| Box::pin(measure(start)),
};

async fn measure(start: &Start<'_>) -> Result<Vec<f64>> {
    let target = start.whole().await?;
    scheduling::account(&mut target.connect().await?).await?;
    let mut client = target.connect().await?;
    let labels = json!({"app": "many"});
    let template = json!({
        "metadata": {"labels": labels},
        "spec": {"nodeSelector": {"simulated": "none"}, "containers": [{"name": "c", "image": "none"}]},
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template},
    });
    let began = Instant::now();
    let body = deployment.to_string();
    let create = client.post("/apis/apps/v1/namespaces/default/deployments", body.as_bytes());
    tokio::try_join!(create, target.appear("/api/v1/namespaces/default/pods?watch=1", REPLICAS))?;
    let took = began.elapsed().as_secs_f64();
    drop(client);
    target.end()?;
    Ok(vec![took])
}
