//! Kills at random moments of the start, run and stop of pods of all shapes: of the program, of shims, of containers and
//! of whole pods. After each, what is said must be what is: every ready pod answers, runs once, and was restarted no
//! more often than it was killed; nothing is left of those that went.
//!
//! `cargo xtask kills` starts it in namespaces of its own for network and mounts. All chance comes from one seed.

mod judge;
mod shapes;
mod strike;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::https;
use crate::soak::api::Api;
use crate::soak::pods::{PODS, prepare, restarted};
use crate::soak::scene::Scene;
use crate::soak::usage;
use judge::{Known, Pods};
use shapes::{ALL, Shape};

/// As many pods as there are at the most, and how many come and go in a round.
const MOST: usize = 14;
const COME: std::ops::Range<usize> = 2..8;
const GO: std::ops::Range<usize> = 0..4;
/// From their requests to the kill, in milliseconds.
const MOMENT: std::ops::Range<u64> = 0..900;
/// So many findings end the run.
const ENOUGH: usize = 20;

/// Runs so many rounds; an error lists all that was wrong.
pub async fn run(program: &Path, rounds: usize, seed: u64) -> Result<()> {
    println!("seed {seed}, {rounds} rounds, {}", program.display());
    let scene = Scene::open(program, seed)?;
    let mut program = strike::Program::take_over(&scene)?;
    let played = play(&scene, &mut program, rounds, seed).await;
    if let Err(error) = &played {
        scene.wrong(format!("it could not go on: {error:#}"));
    }
    scene.close(seed)?;
    program.wait()?;
    println!("kills: {} nothing wrong (seed {seed})", played?);
    Ok(())
}

async fn play(scene: &Arc<Scene>, program: &mut strike::Program, rounds: usize, seed: u64) -> Result<String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut api = Api::new(scene);
    prepare(&mut api).await?;
    let mut pods: Pods = BTreeMap::new();
    judge::steady(&mut api, &mut pods).await?;
    let before = usage::look(scene)?;
    let (mut made, mut struck) = (0, BTreeMap::new());
    for round in 0..rounds {
        for _ in 0..rng.random_range(COME).min(MOST.saturating_sub(pods.len())) {
            made += 1;
            let shape = &ALL[rng.random_range(0..ALL.len())];
            create(&mut api, &mut pods, shape, made).await?;
        }
        for _ in 0..rng.random_range(GO) {
            let going = rng.random_range(0..pods.len().max(1));
            if let Some(name) = pods.keys().nth(going).cloned() {
                remove(&mut api, &mut pods, &name).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(MOMENT))).await;
        let kind = strike::any(&mut rng);
        let what = strike::strike(scene, program, kind, &mut rng).with_context(|| format!("round {round}"))?;
        *struck.entry(kind.name()).or_insert(0) += 1;
        let took = judge::steady(&mut api, &mut pods).await?;
        println!("{:>6.0}s {round}: {what}; {} pods, steady in {took:.1?}", scene.seconds(), pods.len());
        if scene.findings() >= ENOUGH {
            bail!("enough was found");
        }
        // With each end a container waits longer before it is started again, and what is tried here is what follows
        // from a kill.
        for name in killed(scene, &pods) {
            remove(&mut api, &mut pods, &name).await?;
        }
    }
    for name in pods.keys().cloned().collect::<Vec<_>>() {
        remove(&mut api, &mut pods, &name).await?;
    }
    judge::steady(&mut api, &mut pods).await?;
    let mut after = usage::look(scene)?;
    after.kept = restarted(scene).await?;
    usage::compare(scene, &before, &after);
    Ok(format!("{rounds} rounds, {made} pods, {struck:?}:"))
}

async fn create(api: &mut Api, pods: &mut Pods, shape: &'static Shape, number: usize) -> Result<()> {
    let name = format!("{}-{number}", shape.name);
    let pod = json!({"metadata": {"name": name, "labels": {"app": "kills"}}, "spec": (shape.spec)(number)});
    match api.insist(&https::post(PODS, pod.to_string().as_bytes())).await? {
        Ok(_) | Err(409) => {}
        Err(code) => bail!("{name} is refused: {code}"),
    }
    pods.insert(name, Known::new(shape, number));
    Ok(())
}

async fn remove(api: &mut Api, pods: &mut Pods, name: &str) -> Result<()> {
    let request = https::request("DELETE", &format!("{PODS}/{name}"), "application/json", b"");
    match api.insist(&request).await? {
        Ok(_) | Err(404) => {}
        Err(code) => bail!("the end of {name} is refused: {code}"),
    }
    pods.remove(name);
    Ok(())
}

/// Those that were killed.
fn killed(scene: &Scene, pods: &Pods) -> Vec<String> {
    let was = |known: &Known| known.uid.as_ref().is_some_and(|uid| scene.kills(uid) > 0);
    pods.iter().filter(|(_, known)| was(known)).map(|(name, _)| name.clone()).collect()
}
