//! From nothing to a server that says it is ready; then what the whole control plane costs while it idles.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Group, Start, less};
use crate::target::Target;

const SETTLE: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(30);

pub(super) const GROUP: Group = Group {
    name: "ready",
    rows: &[
        less("time to ready", "s"),
        less("idle memory (PSS)", "MB"),
        less("idle CPU", "%"),
        less("idle bytes written", "KB/min"),
    ],
    measure: |start| Box::pin(measure(start)),
};

async fn measure(start: &Start<'_>) -> Result<Vec<f64>> {
    let began = Instant::now();
    let mut target = start.launch()?;
    target.ready().await?;
    let ready = began.elapsed().as_secs_f64();
    if let Target::Upstream(upstream) = &mut target {
        upstream.start_actors(&[])?;
    }
    tokio::time::sleep(SETTLE).await;
    let before = target.usage()?;
    tokio::time::sleep(WINDOW).await;
    let after = target.usage()?;
    target.end()?;
    let seconds = WINDOW.as_secs_f64();
    Ok(vec![
        ready,
        after.pss_bytes as f64 / 1e6,
        // A tick is the least that can be seen.
        ((after.cpu_seconds - before.cpu_seconds) / seconds * 100.0).max(1.0 / seconds),
        ((after.written_bytes - before.written_bytes) as f64 / 1e3 / seconds * 60.0).max(4.096),
    ])
}
