//! The shim of a pod is killed, and with it all of the pod: the pod gets another.

use std::sync::Arc;

use anyhow::Result;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;

use super::{Fault, any, may_die, signal};
use crate::soak::scene::Scene;
use crate::soak::usage;

pub(super) const FAULT: Fault =
    Fault { name: "kill of a shim", weight: 2, kills: false, strike: |scene, rng| Box::pin(strike(scene, rng)) };

async fn strike(scene: Arc<Scene>, mut rng: StdRng) -> Result<String> {
    let mut shims = usage::shims(&scene)?;
    shims.retain(|(_, uid)| may_die(&scene, uid));
    let Some((pid, uid)) = any(&mut rng, shims) else { return Ok("there was none".to_owned()) };
    scene.killed(&uid);
    // It may have ended just now, with its pod.
    let gone = signal(pid, Signal::SIGKILL).is_err();
    Ok(format!("process {pid} of pod {uid}{}", if gone { ", which had ended" } else { "" }))
}
