//! A whole cluster under mixed load with a fault every ten seconds, for as long as one likes: nothing that was
//! acknowledged may be lost, nothing that was refused may appear, and at the end it uses no more than at the beginning.
//!
//! `cargo xtask soak` starts it in namespaces of its own for network and mounts. All chance comes from one seed. In the
//! first half every fault comes; in the second the program itself is not killed, so that what it leaks adds up.

pub mod api;
mod deployments;
pub mod disk;
mod faults;
mod ledger;
mod maps;
pub mod pods;
pub mod scene;
pub mod usage;
mod verdict;
mod watches;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use api::Api;
use scene::{Phase, Scene};
use usage::Usage;

/// From the start of one fault to the start of the next.
const FAULT_EVERY: Duration = Duration::from_secs(10);
/// Between two looks at what is used.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// What begins or ends has done so after this; less in a short run.
const SETTLE: Duration = Duration::from_secs(20);
/// Load without faults, before the first look; less in a short run.
const WARM: Duration = Duration::from_secs(60);
const WRITERS: usize = 6;
const POD_WORKERS: usize = 2;
const WATCHERS: usize = 3;

/// Runs for so many minutes; an error lists all that was wrong.
pub async fn run(program: &Path, minutes: f64, seed: u64) -> Result<()> {
    println!("seed {seed}, {minutes} minutes, {}", program.display());
    let scene = Scene::open(program, seed)?;
    let length = Duration::from_secs_f64(minutes * 60.0);
    let worked = work(&scene, length, seed).await;
    if let Err(error) = worked {
        scene.wrong(format!("it could not go on: {error:#}"));
    }
    scene.close(seed)?;
    println!("soak: nothing wrong (seed {seed})");
    Ok(())
}

async fn work(scene: &Arc<Scene>, length: Duration, seed: u64) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    pods::prepare(&mut Api::new(scene)).await?;
    let workers = start(scene, &mut rng);
    let looks = tokio::spawn(look_on(scene.clone()));
    tokio::time::sleep(WARM.min(length / 10)).await;
    let settle = SETTLE.min(length / 10);
    let first = at_rest(scene, settle, "at rest, before").await?;
    for (faults, round) in [(faults::every(), "first half"), (faults::without_kills(), "second half")] {
        println!("{:>6.0}s {round}", scene.seconds());
        let until = Instant::now() + length / 2;
        scene.enter(Phase::Work);
        while Instant::now() < until {
            let next = Instant::now() + FAULT_EVERY;
            faults::strike(scene, &faults, &mut rng).await;
            tokio::time::sleep_until(next.min(until).into()).await;
        }
        let now = at_rest(scene, settle, &format!("at rest, after the {round}")).await?;
        usage::compare(scene, &first, &now);
    }
    verdict::judge(scene, "at the end").await;
    faults::last(scene, &mut rng).await;
    verdict::judge(scene, "after a last kill").await;
    scene.enter(Phase::End);
    for worker in workers {
        worker.await?;
    }
    usage::trend(scene, &looks.await?);
    println!("{}", scene.ledger.summary());
    Ok(())
}

/// All load; every worker has chance of its own from the seed.
fn start(scene: &Arc<Scene>, rng: &mut StdRng) -> Vec<tokio::task::JoinHandle<()>> {
    let mut own = || StdRng::seed_from_u64(rng.random());
    let mut workers = Vec::new();
    for number in 0..WRITERS {
        workers.push(tokio::spawn(maps::work(scene.clone(), number, own())));
    }
    for number in 0..POD_WORKERS {
        workers.push(tokio::spawn(pods::work(scene.clone(), number, own())));
    }
    workers.push(tokio::spawn(deployments::work(scene.clone(), own())));
    scene.expect(workers.len());
    for number in 0..WATCHERS {
        workers.push(tokio::spawn(watches::work(scene.clone(), number, own())));
    }
    workers
}

/// Lets all work come to its end and looks.
async fn at_rest(scene: &Arc<Scene>, settle: Duration, name: &str) -> Result<Usage> {
    scene.rest().await;
    pods::all_ready(scene).await;
    tokio::time::sleep(settle).await;
    let mut usage = usage::look(scene)?;
    usage.kept = pods::restarted(scene).await?;
    println!("{:>6.0}s {usage} {name}", scene.seconds());
    Ok(usage)
}

/// Looks every minute while there is work.
async fn look_on(scene: Arc<Scene>) -> Vec<(Phase, Usage)> {
    let (mut looks, mut phase) = (Vec::new(), scene.phase());
    loop {
        let end = phase.wait_for(|phase| *phase == Phase::End);
        if tokio::time::timeout(LOOK_EVERY, end).await.is_ok() {
            return looks;
        }
        let phase = *phase.borrow();
        // It may be starting just now.
        if let (Phase::Work, Ok(usage)) = (phase, usage::look(&scene)) {
            println!("{:>6.0}s {usage}", scene.seconds());
            looks.push((phase, usage));
        }
    }
}
