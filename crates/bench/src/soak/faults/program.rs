//! The program is killed: its supervisor starts it again, and the pods run on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::{Fault, signal};
use crate::soak::scene::Scene;
use crate::soak::usage;

/// Until there is another process.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const FAULT: Fault =
    Fault { name: "kill of the program", weight: 2, kills: true, strike: |scene, _| Box::pin(strike(scene)) };

async fn strike(scene: Arc<Scene>) -> Result<String> {
    // It may be starting just now, after the last one.
    let began = Instant::now();
    let pid = loop {
        match usage::programs(&scene)?.first() {
            Some(pid) => break *pid,
            None => ensure!(began.elapsed() < PATIENCE, "it is not started again within {PATIENCE:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    signal(pid, Signal::SIGKILL).context("kill")?;
    let killed = Instant::now();
    while usage::programs(&scene)?.iter().all(|other| *other == pid) {
        ensure!(killed.elapsed() < PATIENCE, "it is not started again within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(format!("process {pid}"))
}
