//! Faults: one file each, and the list. After each, the API is back within a bound and takes a write.

mod container;
mod disk;
mod flood;
mod program;
mod shim;
mod stop;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::Rng;
use rand::rngs::StdRng;

use super::maps::Writer;
use super::scene::Scene;

/// One kind of fault.
pub struct Fault {
    name: &'static str,
    /// How often it comes, in proportion to the others.
    weight: u32,
    /// Whether the program begins anew.
    kills: bool,
    /// Does it, undoes it, and says what it did.
    strike: fn(Arc<Scene>, StdRng) -> Pin<Box<dyn Future<Output = Result<String>> + Send>>,
}

static ALL: &[Fault] = &[program::FAULT, shim::FAULT, container::FAULT, disk::FAULT, stop::FAULT, flood::FAULT];

/// A pod is killed no more often than this: with each time it waits longer before it is started again, at last five
/// minutes, and what is tried here is what follows from a kill.
const KILLS: u64 = 4;

/// Until `/readyz` is ok and a write is acknowledged.
const BACK: Duration = Duration::from_secs(60);

/// Every fault.
pub fn every() -> Vec<&'static Fault> {
    ALL.iter().collect()
}

/// Those that leave the program its life.
pub fn without_kills() -> Vec<&'static Fault> {
    ALL.iter().filter(|fault| !fault.kills).collect()
}

/// Kills the program once more.
pub async fn last(scene: &Arc<Scene>, rng: &mut StdRng) {
    strike(scene, &[&program::FAULT], rng).await;
}

/// One fault of these, and what follows from it.
pub async fn strike(scene: &Arc<Scene>, faults: &[&'static Fault], rng: &mut StdRng) {
    let mut left = rng.random_range(0..faults.iter().map(|fault| fault.weight).sum::<u32>());
    let mut chosen = faults[0];
    for fault in faults {
        if left < fault.weight {
            chosen = fault;
            break;
        }
        left -= fault.weight;
    }
    let (began, own) = (Instant::now(), own(rng));
    let done = (chosen.strike)(scene.clone(), own).await;
    let (took, over) = (began.elapsed(), Instant::now());
    let back = back(scene, own_writer(scene, rng)).await;
    let (name, back_in) = (chosen.name, over.elapsed());
    match done.and_then(|what| back.map(|()| what)) {
        Ok(what) => println!("{:>6.0}s {name}: {what}; {took:.1?}, and back in {back_in:.1?}", scene.seconds()),
        Err(error) => scene.wrong(format!("after {name}: {error:#}")),
    }
}

/// A generator for what has a thread of its own.
fn own(rng: &mut StdRng) -> StdRng {
    rand::SeedableRng::seed_from_u64(rng.random())
}

fn own_writer(scene: &Arc<Scene>, rng: &mut StdRng) -> Writer {
    Writer::new(scene, &format!("back{}", scene.ledger.number()), 1, Some(10), own(rng))
}

/// The API is ready and takes a write.
async fn back(scene: &Arc<Scene>, mut writer: Writer) -> Result<()> {
    let began = Instant::now();
    loop {
        let ready = async {
            let (code, said) = scene.cluster.connect().await?.answer(&crate::https::get("/readyz")).await?;
            ensure!(code == 200, "{}", String::from_utf8_lossy(&said));
            Ok(())
        };
        let last = tokio::time::timeout(BACK, ready).await.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer")));
        if last.is_ok() && writer.create().await {
            writer.clear().await;
            return Ok(());
        }
        ensure!(began.elapsed() < BACK, "not ready within {BACK:?}: {:?}", last.err());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn signal(pid: i32, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(pid), signal)?)
}

/// Whether one more kill of a pod shows something.
fn may_die(scene: &Scene, uid: &str) -> bool {
    scene.kills(uid) < KILLS
}

/// One of these.
fn any<T>(rng: &mut StdRng, mut items: Vec<T>) -> Option<T> {
    (!items.is_empty()).then(|| items.swap_remove(rng.random_range(0..items.len())))
}
