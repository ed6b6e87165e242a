//! `cargo xtask vm`: tests of what the kernel of a developer's machine may lack or refuse, in an emulated one.
//!
//! A Debian with systemd, assembled from this machine's package sources and kept in the cache, is booted by plain
//! emulation (no KVM), alone or several with a network between them. Each boot writes into a copy of its own that ends
//! with it. A test is one file of `tests/vm`, and runs in the first machine.

mod agent;
mod image;
mod machine;
mod script;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use image::Image;
use machine::{Console, Machine};
use script::Script;

/// How long a machine may take to its first command.
const BOOT: Duration = Duration::from_secs(180);
/// How much longer than it says a test may take, on a machine that does other things too.
const PATIENCE: u64 = 3;
/// How long a test that is ended may take to say so, and the code that says it.
const GRACE: Duration = Duration::from_secs(60);
const ENDED: i32 = 124;
/// Seconds that a turn may take.
const TURN: u64 = 240;
/// Tests in a turn, at most.
const TURN_TESTS: usize = 2;
/// Programs that the containers' images are made of, and Debian's packages that have them.
const IMAGES_NEED: &[(&str, &str)] = &[("curl", "curl"), ("nginx", "nginx-light")];
const DAY: u64 = 24 * 60 * 60;

/// Which tests to run.
#[derive(Args)]
pub struct Options {
    /// Names of tests; all when none is named.
    tests: Vec<String>,
    /// Only list them: name, machines, seconds, and what each shows.
    #[arg(long)]
    list: bool,
    /// Only those whose turn it is: one or two, at most four minutes. The same seed picks the same ones; 0 picks by day.
    #[arg(long, value_name = "SEED", conflicts_with = "tests")]
    turn: Option<u64>,
    /// A machine to try things in: its console is this terminal (Ctrl-A X ends it), /kit has what tests have.
    #[arg(long, conflicts_with_all = ["tests", "turn"])]
    shell: bool,
}

/// Runs tests, or what the options say instead.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let all = Script::all(root)?;
    if options.list {
        for test in &all {
            println!("{:12} {} {:4} s  {}", test.name, test.machines, test.seconds, test.about);
        }
        return Ok(());
    }
    let chosen = match options.turn {
        Some(0) => script::turn(&all, SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / DAY, TURN, TURN_TESTS),
        Some(seed) => script::turn(&all, seed, TURN, TURN_TESTS),
        None => script::named(&all, &options.tests)?,
    };
    crate::test::install(image::NEEDED)?;
    let kit = Kit::prepare(root, &all, if options.shell { &all } else { &chosen })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut hangup, mut terminate) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
        let mut interrupt = signal(SignalKind::interrupt())?;
        // Machines and files end with the branch that owns them.
        tokio::select! {
            done = async { if options.shell { shell(&kit).await } else { tests(&kit, &chosen).await } } => done,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
            _ = hangup.recv() => bail!("the terminal has gone"),
        }
    })
}

/// What machines are made of.
struct Kit {
    image: Image,
    /// The second disk: programs, images of containers, the tests.
    files: PathBuf,
    /// Where failed tests' files go.
    output: PathBuf,
    dir: TempDir,
}

impl Kit {
    /// Builds what the chosen tests need.
    fn prepare(root: &Path, all: &[Script], chosen: &[Script]) -> Result<Kit> {
        let image = Image::get(root, all.iter().flat_map(|test| test.packages.iter().cloned()))?;
        let dir = machine::directory(&std::env::temp_dir())?;
        let inside = dir.path().join("kit");
        let (bin, tests) = (inside.join("bin"), inside.join("tests"));
        std::fs::create_dir_all(&bin)?;
        crate::test::succeed(Command::new("cp").arg("-rT").arg(root.join(script::FOLDER)).arg(&tests))?;
        if chosen.iter().any(|test| test.ironclad) {
            let program = crate::test::ironclad(root)?;
            crate::test::succeed(Command::new("strip").arg("-o").arg(bin.join("ironclad")).arg(program))?;
        }
        if chosen.iter().any(|test| test.images) {
            crate::test::install(IMAGES_NEED)?;
            let images = inside.join("images");
            std::fs::create_dir(&images)?;
            let assemble = root.join("tests/cluster/images.sh");
            crate::test::succeed(Command::new("bash").arg(assemble).arg(images))?;
        }
        let files = dir.path().join("kit.disk");
        image::disk_of(&inside, &files)?;
        std::fs::remove_dir_all(&inside)?;
        Ok(Kit { image, files, output: crate::test::target(root)?.join("vm"), dir })
    }
}

/// Runs tests one after the other; an error names those that failed.
async fn tests(kit: &Kit, chosen: &[Script]) -> Result<()> {
    let mut red = Vec::new();
    for test in chosen {
        let start = Instant::now();
        println!("--- {}: {}", test.name, test.about);
        let outcome = one(kit, test).await;
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(()) => println!("--- {}: passed in {seconds} s (it says {})", test.name, test.seconds),
            Err(e) => {
                println!("--- {}: FAILED after {seconds} s: {e:#}", test.name);
                red.push(test.name.as_str());
            }
        }
    }
    println!("vm: {} passed, {} failed", chosen.len() - red.len(), red.len());
    if !red.is_empty() {
        bail!("these tests failed in the virtual machine: {}", red.join(" "));
    }
    Ok(())
}

/// One test, in machines of its own.
async fn one(kit: &Kit, test: &Script) -> Result<()> {
    let mut machines = machine::boot(kit.dir.path(), &kit.image, &kit.files, test.machines, Console::File)?;
    let outcome = in_machines(&mut machines, test).await;
    if outcome.is_err() {
        for machine in &machines {
            println!("the end of machine {}'s console:\n{}", machine.number, machine.console_end());
        }
        keep(&mut machines, &kit.output.join(&test.name)).await;
    }
    for machine in machines {
        machine.power_off().await;
    }
    outcome
}

async fn in_machines(machines: &mut [Machine], test: &Script) -> Result<()> {
    let booted = Instant::now();
    for machine in machines.iter_mut() {
        let number = machine.number;
        let ready = timeout(BOOT, machine.ready()).await;
        ready.with_context(|| format!("machine {number} did not boot in {} s", BOOT.as_secs()))??;
    }
    println!("booted in {} s", booted.elapsed().as_secs());
    let first = machines.first_mut().context("a test has a machine")?;
    let limit = test.seconds * PATIENCE;
    // It is ended from within, so that it can still say how far it came.
    let script = format!("exec timeout --kill-after=20 {limit} bash /kit/tests/{}.sh", test.name);
    let mut output = agent::to_terminal;
    let code = timeout(Duration::from_secs(limit) + GRACE, first.run(&script, &[], &mut output)).await;
    match code.context("the machine does not answer")?? {
        0 => Ok(()),
        ENDED => bail!("not done after {limit} s"),
        code => bail!("exit code {code}"),
    }
}

/// What the tests left in the machines' `/out`, where a person can look at it.
async fn keep(machines: &mut [Machine], dir: &Path) {
    for machine in machines {
        let number = machine.number;
        let mut archive = Vec::new();
        let mut output = |bytes: &[u8]| archive.extend_from_slice(bytes);
        let packed = machine.run("[ -z \"$(ls /out)\" ] || tar -C /out -cz .", &[], &mut output);
        let Ok(Ok(0)) = timeout(GRACE, packed).await else { continue };
        if archive.is_empty() {
            continue;
        }
        let file = dir.join(format!("machine{number}.tar.gz"));
        let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&file, &archive));
        match written {
            Ok(()) => println!("kept {}", file.display()),
            Err(e) => println!("could not keep {}: {e}", file.display()),
        }
    }
}

/// One machine, for a person.
async fn shell(kit: &Kit) -> Result<()> {
    let machines = machine::boot(kit.dir.path(), &kit.image, &kit.files, 1, Console::Terminal)?;
    for machine in machines {
        machine.ended().await?;
    }
    Ok(())
}
