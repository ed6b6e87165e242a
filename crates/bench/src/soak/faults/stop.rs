//! The program, or a shim, is stopped for some seconds (SIGSTOP), and goes on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use rand::Rng;
use rand::rngs::StdRng;

use super::{Fault, any, signal};
use crate::soak::scene::Scene;
use crate::soak::usage;

/// For how long, in milliseconds.
const STOPPED: std::ops::Range<u64> = 1000..7000;

pub(super) const FAULT: Fault =
    Fault { name: "stop", weight: 2, kills: false, strike: |scene, rng| Box::pin(strike(scene, rng)) };

async fn strike(scene: Arc<Scene>, mut rng: StdRng) -> Result<String> {
    let time = Duration::from_millis(rng.random_range(STOPPED));
    let shim = rng.random_range(0..3) == 0;
    let (pid, what) = match any(&mut rng, usage::shims(&scene)?) {
        Some((pid, uid)) if shim => (pid, format!("the shim of pod {uid}")),
        _ => (usage::programs(&scene)?.first().copied().context("the program does not run")?, "the program".to_owned()),
    };
    if signal(pid, Signal::SIGSTOP).is_err() {
        return Ok(format!("{what} had ended"));
    }
    tokio::time::sleep(time).await;
    // A shim may have been killed meanwhile, with its pod.
    let gone = signal(pid, Signal::SIGCONT).is_err();
    Ok(format!("{what} for {time:.1?}{}", if gone { ", then it was gone" } else { "" }))
}
