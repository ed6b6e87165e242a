//! A web server's pods: the way to Ready of one, a node full of them, and what is left of many that came and went.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Group, at_most, up};
use crate::cluster::Cluster;
use crate::https::Client;

/// Where `tests/cluster/images.sh` has put its images.
const IMAGES: &str = "IRONCLAD_IMAGES";
const IMAGE: &str = "localhost/nginx:1";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// Pods that become Ready one after the other.
const READY: usize = 100;
/// As many as a node takes (upstream: `maxPods`).
const MANY: usize = 110;
/// Pods of each round that come and go.
const ROUND: usize = 100;
const ROUNDS: usize = 10;
/// After these, what is kept on purpose (histories, pools) is there.
const WARM: usize = 3;
/// The agent's work after the last pod of a round has gone.
const SETTLE: Duration = Duration::from_secs(3);

pub(super) const GROUP: Group = Group {
    figures: &[
        at_most("pods.nginx_ready_p50_ms", "ms", 250.0),
        at_most("pods.nginx_ready_p99_ms", "ms", 500.0),
        at_most("pods.110_running_s", "s", 3.0),
        at_most("pods.churn_grows_mb", "MB", 5.0),
    ],
    measure: |program| Box::pin(measure(program)),
};

async fn measure(program: PathBuf) -> Result<Vec<f64>> {
    let images = std::env::var_os(IMAGES).with_context(|| format!("{IMAGES} names no directory; `cargo xtask bench` makes it"))?;
    let cluster = Cluster::up(&program, &["--detach"])?;
    cluster.run("image", &["import", &PathBuf::from(images).join("nginx.tar").to_string_lossy()])?;
    let mut client = cluster.connect().await?;
    let mut ready = Vec::new();
    for number in 0..READY {
        ready.push(one_ready(&cluster, &mut client, number).await?);
    }
    gone(&cluster, &mut client).await?;
    ready.sort_by(f64::total_cmp);
    let late = ready[(ready.len() * 99).div_ceil(100) - 1];
    let began = Instant::now();
    running(&cluster, &mut client, MANY).await?;
    let many = began.elapsed().as_secs_f64();
    gone(&cluster, &mut client).await?;
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        running(&cluster, &mut client, ROUND).await?;
        gone(&cluster, &mut client).await?;
        tokio::time::sleep(SETTLE).await;
        memory.push(cluster.usage()?.pss_bytes as f64 / 1e6);
    }
    cluster.down()?;
    Ok(vec![up::median(ready), late, many, memory[ROUNDS - 1] - memory[WARM - 1]])
}

/// Milliseconds from a pod's creation to its being Ready, which its probe says.
async fn one_ready(cluster: &Cluster, client: &mut Client, number: usize) -> Result<f64> {
    let (mut watcher, name) = (cluster.connect().await?, format!("ready-{number}"));
    let path = format!("{PODS}?watch=1&fieldSelector=metadata.name%3D{name}");
    let is_ready = |event: &Value| {
        let conditions = event["object"]["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    let waiting = tokio::spawn(async move { watcher.watch_until(&path, is_ready).await });
    let began = Instant::now();
    create(client, &name, json!({"httpGet": {"port": 80}})).await?;
    waiting.await??;
    let took = began.elapsed().as_secs_f64() * 1e3;
    client.send(&crate::https::request("DELETE", &format!("{PODS}/{name}?gracePeriodSeconds=0"), "application/json", b"")).await?;
    Ok(took)
}

async fn create(client: &mut Client, name: &str, probe: Value) -> Result<()> {
    let container = json!({"name": "nginx", "image": IMAGE, "readinessProbe": probe});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]},
    });
    client.post(PODS, pod.to_string().as_bytes()).await?;
    Ok(())
}

/// Creates so many pods, and waits until all run.
async fn running(cluster: &Cluster, client: &mut Client, count: usize) -> Result<()> {
    let mut watcher = cluster.connect().await?;
    let waiting = tokio::spawn(async move {
        let mut all = HashSet::new();
        let mut enough = |event: &[u8]| {
            let event: Value = serde_json::from_slice(event).unwrap_or_default();
            if event["object"]["status"]["phase"] == "Running" {
                all.insert(event["object"]["metadata"]["name"].to_string());
            }
            all.len() == count
        };
        watcher.watch(&format!("{PODS}?watch=1"), &mut enough).await
    });
    for number in 0..count {
        create(client, &format!("many-{number}"), Value::Null).await?;
    }
    waiting.await?
}

/// Deletes all pods, and waits until there are none.
async fn gone(cluster: &Cluster, client: &mut Client) -> Result<()> {
    let list = client.body(&crate::https::get(PODS)).await?;
    let list: Value = serde_json::from_slice(&list)?;
    let mut left: HashSet<String> = list["items"].as_array().into_iter().flatten().map(|pod| pod["metadata"]["name"].to_string()).collect();
    let mut watcher = cluster.connect().await?;
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let waiting = tokio::spawn(async move {
        if left.is_empty() {
            return Ok(());
        }
        let mut none = |event: &[u8]| {
            let event: Value = serde_json::from_slice(event).unwrap_or_default();
            if event["type"] == "DELETED" {
                left.remove(&event["object"]["metadata"]["name"].to_string());
            }
            left.is_empty()
        };
        watcher.watch(&format!("{PODS}?watch=1&resourceVersion={revision}"), &mut none).await
    });
    let delete = crate::https::request("DELETE", &format!("{PODS}?gracePeriodSeconds=0"), "application/json", b"");
    client.send(&delete).await?;
    waiting.await?
}
