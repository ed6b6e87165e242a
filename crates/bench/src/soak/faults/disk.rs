//! The disk is full until writes are refused, and then it is not.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::Rng;
use rand::rngs::StdRng;

use super::Fault;
use crate::soak::maps::Writer;
use crate::soak::scene::Scene;

/// What the store has set aside takes some writes yet: these are large, and so many at the most.
const LARGE: usize = 700_000;
const WRITES: usize = 200;
/// How long it stays full, in milliseconds.
const STAYS: std::ops::Range<u64> = 500..4000;

pub(super) const FAULT: Fault =
    Fault { name: "full disk", weight: 2, kills: false, strike: |scene, rng| Box::pin(strike(scene, rng)) };

async fn strike(scene: Arc<Scene>, mut rng: StdRng) -> Result<String> {
    let stays = Duration::from_millis(rng.random_range(STAYS));
    let name = format!("large{}", scene.ledger.number());
    let mut writer = Writer::new(&scene, &name, 5, Some(LARGE), rng);
    scene.filled();
    let filler = scene.disk.fill()?;
    let (mut writes, mut refused) = (0, None);
    // Other refusals than the server's own are a matter of the writer's requests.
    while refused.is_none_or(|code| code < 500) && writes < WRITES {
        refused = writer.step().await;
        writes += 1;
    }
    tokio::time::sleep(stays).await;
    drop(filler);
    // One that was made meanwhile has met it, too.
    scene.filled();
    writer.clear().await;
    ensure!(writes < WRITES, "{WRITES} large writes were taken by a full disk");
    Ok(format!("{} after {writes} large writes", refused.unwrap_or_default()))
}
