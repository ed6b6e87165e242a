//! One pod after the other, from its creation to Running.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{Group, at_most, up};
use crate::cluster::Cluster;

const PODS: usize = 20;
/// The image that `up --demo` makes.
const IMAGE: &str = "ironclad.local/demo:v1";

pub(super) const GROUP: Group = Group {
    figures: &[at_most("pod.running_p50_ms", "ms", 50.0)],
    measure: |program| Box::pin(measure(program)),
};

async fn measure(program: PathBuf) -> Result<Vec<f64>> {
    let cluster = Cluster::up(&program, &["--detach", "--demo"])?;
    let (mut writer, mut times) = (cluster.connect().await?, Vec::new());
    for number in 0..PODS {
        let name = format!("bench-{number}");
        let mut watcher = cluster.connect().await?;
        let path = format!("/api/v1/namespaces/default/pods?watch=1&fieldSelector=metadata.name%3D{name}");
        let running = tokio::spawn(async move {
            watcher.watch_until(&path, |event| event["object"]["status"]["phase"] == "Running").await
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": IMAGE}]},
        });
        let started = Instant::now();
        writer.post("/api/v1/namespaces/default/pods", pod.to_string().as_bytes()).await?;
        running.await??;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    cluster.down()?;
    Ok(vec![up::median(times)])
}
