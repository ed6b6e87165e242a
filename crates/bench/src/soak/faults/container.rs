//! A container's process is killed: the container is started again.

use std::sync::Arc;

use anyhow::Result;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;

use super::{Fault, any, may_die, signal};
use crate::soak::scene::Scene;
use crate::soak::usage;

pub(super) const FAULT: Fault =
    Fault { name: "kill of a container", weight: 2, kills: false, strike: |scene, rng| Box::pin(strike(scene, rng)) };

async fn strike(scene: Arc<Scene>, mut rng: StdRng) -> Result<String> {
    let mut servers = usage::in_pods(&scene)?;
    let may_die = |process: &usage::Process| process.pod.as_ref().is_some_and(|uid| may_die(&scene, uid));
    servers.retain(|process| process.words.iter().any(|word| word == "demo-server") && may_die(process));
    let Some(process) = any(&mut rng, servers) else { return Ok("there was none".to_owned()) };
    let uid = process.pod.unwrap_or_default();
    scene.killed(&uid);
    let gone = signal(process.pid, Signal::SIGKILL).is_err();
    Ok(format!("process {} of pod {uid}{}", process.pid, if gone { ", which had ended" } else { "" }))
}
