//! What a cluster without pods costs while nobody asks for anything.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::{Group, at_most};
use crate::cluster::Cluster;

/// Start-up work settles first.
const SETTLE: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(60);

pub(super) const GROUP: Group = Group {
    figures: &[
        at_most("idle.pss_mb", "MB", 60.0),
        at_most("idle.cpu_percent", "%", 0.5),
        at_most("idle.written_kb_per_min", "KB", 100.0),
    ],
    measure: |program| Box::pin(measure(program)),
};

async fn measure(program: PathBuf) -> Result<Vec<f64>> {
    let cluster = Cluster::up(&program, &["--detach"])?;
    tokio::time::sleep(SETTLE).await;
    let before = cluster.usage()?;
    tokio::time::sleep(WINDOW).await;
    let after = cluster.usage()?;
    cluster.down()?;
    let minutes = WINDOW.as_secs_f64() / 60.0;
    Ok(vec![
        after.pss_bytes as f64 / 1e6,
        (after.cpu_seconds - before.cpu_seconds) / WINDOW.as_secs_f64() * 100.0,
        (after.written_bytes - before.written_bytes) as f64 / 1e3 / minutes,
    ])
}
