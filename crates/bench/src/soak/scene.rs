//! What all workers share: the cluster, the books, and what was found to be wrong.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::watch;

use super::disk::Disk;
use super::ledger::Ledger;
use crate::cluster::Cluster;

/// How long workers may take to finish what they have begun.
const PATIENCE: Duration = Duration::from_secs(300);
/// Findings that are kept; a fault of the mechanism repeats itself.
const ENOUGH: usize = 100;

/// What the workers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All they can.
    Work,
    /// Nothing, after what they have begun.
    Rest,
    /// Go.
    End,
}

/// Shared by all.
pub struct Scene {
    pub cluster: Cluster,
    pub disk: Disk,
    pub ledger: Ledger,
    /// Where the cluster keeps what does not survive a reboot, and the cgroup of its pods.
    pub run: PathBuf,
    pub cgroup: String,
    began: Instant,
    phase: watch::Sender<Phase>,
    workers: AtomicUsize,
    resting: AtomicUsize,
    wrong: Mutex<Vec<String>>,
    /// How often something in a pod was killed, by its uid.
    kills: Mutex<HashMap<String, u64>>,
    /// How often the disk was full.
    full: AtomicU64,
}

/// The disk is filled on purpose: what follows from that for pods is not what is looked at.
pub const FLAGS: &[&str] = &["--eviction-hard=memory.available<100Mi"];

impl Scene {
    /// A cluster on a small disk of its own, with the demo.
    pub fn open(program: &Path, seed: u64) -> Result<Arc<Self>> {
        let mut cluster = Cluster::prepare(program)?;
        let disk = Disk::mount(cluster.home())?;
        cluster.move_to(disk.path().join("data"));
        cluster.launch(&[FLAGS, &["--detach", "--demo"]].concat()).context("the first start")?;
        Ok(Arc::new(Scene::new(cluster, disk, seed)))
    }

    fn new(cluster: Cluster, disk: Disk, seed: u64) -> Self {
        let name = place(cluster.data());
        Scene {
            run: Path::new("/run").join(&name),
            cgroup: name,
            cluster,
            disk,
            ledger: Ledger::new(seed),
            began: Instant::now(),
            phase: watch::channel(Phase::Work).0,
            workers: AtomicUsize::new(0),
            resting: AtomicUsize::new(0),
            wrong: Mutex::default(),
            kills: Mutex::default(),
            full: AtomicU64::new(0),
        }
    }

    /// Seconds since the beginning.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Notes something that must not be.
    pub fn wrong(&self, what: impl Into<String>) {
        let line = format!("{:.1}s {}", self.seconds(), what.into());
        println!("WRONG {line}");
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() < ENOUGH {
            wrong.push(line);
        }
    }

    /// How many things were wrong.
    pub fn findings(&self) -> usize {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What the workers are to do, as it changes.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// So many workers come to rest when they are told.
    pub fn expect(&self, workers: usize) {
        self.workers.store(workers, Ordering::Relaxed);
    }

    /// For a worker between two pieces of work: waits while there is rest; `false` when it may go.
    pub async fn goes_on(&self) -> bool {
        let mut phase = self.phase.subscribe();
        if *phase.borrow() == Phase::Rest {
            self.resting.fetch_add(1, Ordering::Relaxed);
            // The sender lives as long as this does.
            let _ = phase.wait_for(|phase| *phase != Phase::Rest).await;
            self.resting.fetch_sub(1, Ordering::Relaxed);
        }
        *self.phase.borrow() == Phase::Work
    }

    /// Waits, as long as there is work.
    pub async fn pause(&self, time: Duration) {
        let mut phase = self.phase.subscribe();
        let _ = tokio::time::timeout(time, phase.wait_for(|phase| *phase != Phase::Work)).await;
    }

    /// Tells all workers to rest, and waits until they do.
    pub async fn rest(&self) {
        self.enter(Phase::Rest);
        let asked = Instant::now();
        while self.resting.load(Ordering::Relaxed) < self.workers.load(Ordering::Relaxed) {
            if asked.elapsed() > PATIENCE {
                return self.wrong("the workers do not come to an end");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Something in this pod is killed: it may be restarted once more.
    pub fn killed(&self, uid: &str) {
        *self.kills.lock().unwrap_or_else(PoisonError::into_inner).entry(uid.to_owned()).or_default() += 1;
    }

    /// The disk is full: a container that was to start then may have failed, and counts as one that ended.
    pub fn filled(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    pub fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }

    pub fn kills(&self, uid: &str) -> u64 {
        self.kills.lock().unwrap_or_else(PoisonError::into_inner).get(uid).copied().unwrap_or(0)
    }

    /// Ends the cluster and looks whether something is left of it. All that was wrong is printed, and is an error.
    pub fn close(self: Arc<Self>, seed: u64) -> Result<()> {
        let left = Arc::into_inner(self).context("a worker is left")?.end();
        if !left.is_empty() {
            left.iter().for_each(|line| println!("WRONG {line}"));
            bail!("{} things were wrong (seed {seed})", left.len());
        }
        Ok(())
    }

    fn end(self) -> Vec<String> {
        let Scene { cluster, disk, wrong, run, cgroup, .. } = self;
        let mut wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
        let data = cluster.data().to_owned();
        if !wrong.is_empty() {
            cluster.show_log();
        }
        let program = cluster.program().to_owned();
        if let Err(error) = cluster.down() {
            wrong.push(format!("{error:#}"));
        }
        wrong.extend(super::usage::left(&program, &data, &run, &cgroup));
        if let Err(error) = disk.unmount() {
            wrong.push(format!("the disk is still in use: {error:#}"));
        }
        wrong
    }
}

/// The name that belongs to a data directory (`crates/ironclad/src/dirs.rs`): the hash is FNV-1a.
fn place(data: &Path) -> String {
    let text = data.to_string_lossy();
    let hash = text.bytes().fold(0x811c_9dc5, |h: u32, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    format!("ironclad-{hash:08x}")
}
