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
    let (mut client, mut watcher) = (target.connect().await?, target.connect().await?);
    let stored = tokio::spawn(async move {
        let mut left = REPLICAS;
        watcher
            .watch("/api/v1/namespaces/default/pods?watch=1", |line| {
                left -= usize::from(line.starts_with(br#"{"type":"ADDED""#));
                left == 0
            })
            .await
    });
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
    client.post("/apis/apps/v1/namespaces/default/deployments", deployment.to_string().as_bytes()).await?;
    stored.await??;
    let took = began.elapsed().as_secs_f64();
    drop(client);
    target.end()?;
    Ok(vec![took])
}
