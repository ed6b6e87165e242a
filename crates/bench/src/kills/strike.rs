//! What is killed.

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::soak::scene::{FLAGS, Scene};
use crate::soak::usage;

/// Until the program has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kinds of kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program alone: no pod is the worse for it.
    Program,
    /// A shim, and with it its pod's containers.
    Shim,
    /// The first process of a container.
    Container,
    /// Everything of one pod.
    Tree,
    /// The program, and some shims and whole pods with it.
    All,
}

const KINDS: &[(Kind, u32)] =
    &[(Kind::Program, 5), (Kind::Shim, 2), (Kind::Container, 1), (Kind::Tree, 2), (Kind::All, 3)];

impl Kind {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Program => "program",
            Kind::Shim => "shim",
            Kind::Container => "container",
            Kind::Tree => "pod",
            Kind::All => "program and pods",
        }
    }
}

/// One of them, by weight.
pub fn any(rng: &mut StdRng) -> Kind {
    let mut left = rng.random_range(0..KINDS.iter().map(|(_, weight)| weight).sum::<u32>());
    for (kind, weight) in KINDS {
        if left < *weight {
            return *kind;
        }
        left -= weight;
    }
    Kind::Program
}

/// Kills, and says what.
pub fn strike(scene: &Scene, program: &mut Program, kind: Kind, rng: &mut StdRng) -> Result<String> {
    match kind {
        Kind::Program => program.kill(scene),
        Kind::Shim => shims(scene, rng, 1, false),
        Kind::Tree => shims(scene, rng, 1, true),
        Kind::Container => container(scene, rng),
        Kind::All => {
            let (some, whole) = (rng.random_range(1..4), rng.random_bool(0.5));
            let pods = shims(scene, rng, some, whole)?;
            Ok(format!("{}, {pods}", program.kill(scene)?))
        }
    }
}

/// A process may have ended just now.
fn end(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// The program without its supervisor, which would wait longer before each start.
pub struct Program(Child);

impl Program {
    /// Takes the place of the supervisor.
    pub fn take_over(scene: &Scene) -> Result<Self> {
        for pid in usage::supervisors(scene)?.into_iter().chain(usage::programs(scene)?) {
            end(pid);
        }
        let killed = Instant::now();
        while !usage::programs(scene)?.is_empty() {
            ensure!(killed.elapsed() < PATIENCE, "it does not end within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Program(scene.cluster.spawn(FLAGS)?))
    }

    /// Kills it and starts it again. It may have been starting.
    fn kill(&mut self, scene: &Scene) -> Result<String> {
        let pid = self.0.id();
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "the program has ended by itself: {ended:?}");
        self.0.kill()?;
        self.0.wait()?;
        self.0 = scene.cluster.spawn(FLAGS)?;
        Ok(format!("program {pid}"))
    }

    /// When all has been removed.
    pub fn wait(mut self) -> Result<()> {
        self.0.wait()?;
        Ok(())
    }
}

/// Some shims; where whole pods are killed, all their processes in any order.
fn shims(scene: &Scene, rng: &mut StdRng, some: usize, whole: bool) -> Result<String> {
    let mut shims = usage::shims(scene)?;
    shims.shuffle(rng);
    shims.truncate(some);
    let mut victims: Vec<i32> = shims.iter().map(|(pid, _)| *pid).collect();
    for (_, uid) in &shims {
        scene.killed(uid);
    }
    if whole {
        let of = |process: &usage::Process| process.pod.as_ref().is_some_and(|uid| shims.iter().any(|(_, s)| s == uid));
        victims.extend(usage::in_pods(scene)?.into_iter().filter(of).map(|process| process.pid));
    }
    victims.shuffle(rng);
    victims.iter().for_each(|pid| end(*pid));
    let what = if whole { "all of" } else { "the shim of" };
    Ok(format!("{what} {}", shims.iter().map(|(_, uid)| uid.as_str()).collect::<Vec<_>>().join(", ")))
}

fn container(scene: &Scene, rng: &mut StdRng) -> Result<String> {
    let mut all = usage::in_pods(scene)?;
    all.retain(|process| process.words.iter().any(|word| word == "demo-server"));
    if all.is_empty() {
        return Ok("no container".to_owned());
    }
    let process = all.swap_remove(rng.random_range(0..all.len()));
    let uid = process.pod.unwrap_or_default();
    scene.killed(&uid);
    end(process.pid);
    Ok(format!("process {} of {uid}", process.pid))
}
