//! From an empty data directory to a Ready node, and to the first running pod. Medians of three.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use super::{Group, at_most};
use crate::cluster::Cluster;

pub(super) const GROUP: Group = Group {
    figures: &[at_most("up.node_ready_s", "s", 1.0), at_most("up.first_pod_s", "s", 1.5)],
    measure: |program| Box::pin(measure(program)),
};

async fn measure(program: PathBuf) -> Result<Vec<f64>> {
    let (mut ready, mut running) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let started = Instant::now();
        let cluster = Cluster::up(&program, &["--detach"])?;
        ready.push(started.elapsed().as_secs_f64());
        cluster.down()?;

        let started = Instant::now();
        let cluster = Cluster::start(&program, &["--demo"])?;
        let mut client = cluster.connect_patiently().await?;
        client.watch_until("/api/v1/pods?watch=1", |event| event["object"]["status"]["phase"] == "Running").await?;
        running.push(started.elapsed().as_secs_f64());
        cluster.down()?;
    }
    Ok(vec![median(ready), median(running)])
}

/// The middle value; not a number for none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
