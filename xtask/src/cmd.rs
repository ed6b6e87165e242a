//! `cargo xtask cmd [NAME…]`: upstream's `test/cmd` against our API server and our controllers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::{test, upstream};

/// Functions that run at a time: most of the time of each its kubectl starts or waits.
const AT_ONCE: usize = 2;
/// Seconds that one may take.
const PATIENCE: &str = "300";
/// The functions that pass.
const GREEN: &str = "tests/cmd/green.txt";
/// Where upstream's list of them stands.
const LIST: &str = "test/cmd/legacy-script.sh";

/// Which functions.
#[derive(Args, Default)]
pub struct Options {
    /// Functions without `run_`, such as `pod_tests`; those of tests/cmd/green.txt where none is named.
    names: Vec<String>,
    /// All that upstream runs; those that pass are written into tests/cmd/green.txt.
    #[arg(long, conflicts_with = "names")]
    record: bool,
    /// Of the green ones every so many-th, another part each day.
    #[arg(long, value_name = "PARTS", conflicts_with_all = ["names", "record"])]
    part: Option<usize>,
}

impl Options {
    /// A part of the green ones, another each day.
    pub fn part(parts: usize) -> Options {
        Options { part: Some(parts), ..Options::default() }
    }
}

/// Runs them; an error when one fails.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    test::install(&[("openssl", "openssl"), ("tput", "ncurses-bin")])?;
    let (ironclad, kubectl, source) = (test::ironclad(root)?, upstream::program(root, "kubectl")?, source(root)?);
    let output = upstream::cache()?.join("cmd");
    std::fs::create_dir_all(&output).with_context(|| format!("make {}", output.display()))?;
    let all = functions(&source)?;
    let names = match options {
        Options { record: true, .. } => all,
        Options { part, names, .. } if names.is_empty() => rotated(green(root)?, part.unwrap_or(1)),
        Options { names, .. } => names.clone(),
    };
    println!("{} functions; what they print is in {}", names.len(), output.display());
    let passes = |name: &str| -> Result<bool> {
        let mut script = Command::new("timeout");
        script.args(["--kill-after", "10", PATIENCE, "bash"]).arg(root.join("tests/cmd/run.sh"));
        script.arg(&ironclad).arg(&kubectl).arg(&source).arg(&output).arg(name).env("PATH", test::path());
        Ok(script.status().context("start bash")?.success())
    };
    let mut passed = side_by_side(&names, passes)?;
    let failed: Vec<&String> = names.iter().filter(|name| !passed.contains(name)).collect();
    let mut red = Vec::new();
    for name in failed {
        // A red one gets a second chance, alone: what passes then is a flake, and shown as such; it is not recorded.
        match !options.record && passes(name)? {
            true => {
                println!("flake: {name}");
                passed.push(name.clone());
            }
            false => red.push(name.as_str()),
        }
    }
    println!("cmd: {} passed, {} failed", passed.len(), red.len());
    if options.record {
        let text: String = passed.iter().map(|name| format!("{name}\n")).collect();
        return std::fs::write(root.join(GREEN), text).context("write the green ones");
    }
    ensure!(red.is_empty(), "red: {} (a log of each in {})", red.join(", "), output.display());
    Ok(())
}

/// Those that pass, sorted.
fn side_by_side(names: &[String], passes: impl Fn(&str) -> Result<bool> + Sync) -> Result<Vec<String>> {
    let (next, passed) = (Mutex::new(names.iter()), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        loop {
            let Some(name) = next.lock().map_err(|_| anyhow::anyhow!("a function's thread panicked"))?.next() else { return Ok(()) };
            let began = Instant::now();
            let is_green = passes(name)?;
            println!("{} {name} {} s", if is_green { "ok  " } else { "FAIL" }, began.elapsed().as_secs());
            if is_green {
                passed.lock().map_err(|_| anyhow::anyhow!("a function's thread panicked"))?.push(name.clone());
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a function's thread panicked"))?)
    })?;
    let mut passed = passed.into_inner().map_err(|_| anyhow::anyhow!("a function's thread panicked"))?;
    passed.sort();
    Ok(passed)
}

/// Upstream's functions, in its order.
fn functions(source: &Path) -> Result<Vec<String>> {
    let path = source.join(LIST);
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut names: Vec<String> = Vec::new();
    for name in text.lines().filter_map(|line| line.trim().strip_prefix("record_command run_")) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    ensure!(names.len() > 50, "{} names {} functions: it is not what was expected", path.display(), names.len());
    Ok(names)
}

fn green(root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join(GREEN)).with_context(|| format!("read {GREEN}"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Every so many-th name, from another one on each day.
fn rotated(names: Vec<String>, parts: usize) -> Vec<String> {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let from = usize::try_from(seconds / 86_400).unwrap_or(0) % parts.max(1);
    names.into_iter().skip(from).step_by(parts.max(1)).collect()
}

/// Upstream's module, where Go keeps it.
fn source(root: &Path) -> Result<PathBuf> {
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", "k8s.io/kubernetes"]).current_dir(root.join("tests/upstream/programs"));
    let output = go.output().context("start `go`: is Go 1.26 installed?")?;
    let answer: Value = serde_json::from_slice(&output.stdout).context("read what `go mod download` says")?;
    match answer["Dir"].as_str() {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => bail!("`go mod download` has no directory: {}", answer["Error"].as_str().unwrap_or_default()),
    }
}
