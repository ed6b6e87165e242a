//! `cargo xtask oracle`: replays one corpus of requests on upstream's kube-apiserver and on ours, and shows
//! every difference that is not on the list of known ones.

mod generate;
mod known;
mod lane;
mod mutate;
mod normal;
mod openapi;
mod order;
mod page;
mod random;
mod run;
mod servers;
mod side;
mod transcript;
mod tree;
mod verdict;
mod webhook;
mod wire;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

pub use servers::Programs;

/// What to compare.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Only these topics: a file of tests/oracle, or `openapi`, `stored`, `round`, or `mutation`, optionally `round/OBJECT`; commas between.
    #[arg(long, value_delimiter = ',')]
    pub topic: Vec<String>,
    /// How many mutations.
    #[arg(long, default_value_t = 2000)]
    pub cases: usize,
    /// Which ones; a fresh one is printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many mutations may differ: for those that nobody has ever looked at. They are shown all the same.
    #[arg(long, default_value_t = 0)]
    pub allow: usize,
    /// Only families of differences, with their counts.
    #[arg(long)]
    pub summary: bool,
    #[command(flatten)]
    pub programs: Programs,
}

/// Builds what is needed and compares, in a network namespace with loopback alone.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    if options.programs.ours.is_some() {
        return run::run(root, options);
    }
    let seed = match options.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let upstream = |name: &str| crate::upstream::program(root, name);
    let ours = ours(root)?;
    let mut inner = Command::new("unshare");
    // With its own process ids, so that nothing outlives it.
    inner.args(["--net", "--pid", "--fork", "--kill-child", "sh", "-c"]);
    inner.arg(format!("ip link set lo up && ip address add {}/32 dev lo && exec \"$@\"", servers::ANNOUNCED)).arg("sh");
    inner.arg(std::env::current_exe()?).arg("oracle").arg("--ours").arg(ours);
    inner.arg("--apiserver").arg(upstream("kube-apiserver")?).arg("--etcd").arg(upstream("etcd")?);
    let modules = crate::codegen::upstream::Modules::fetch(root)?;
    inner.arg("--fixtures").arg(modules.dir("k8s.io/api")?.join("testdata/HEAD"));
    inner.args(["--seed", &seed.to_string(), "--cases", &options.cases.to_string()]);
    inner.args(["--allow", &options.allow.to_string()]);
    if !options.topic.is_empty() {
        inner.args(["--topic", &options.topic.join(",")]);
    }
    if options.summary {
        inner.arg("--summary");
    }
    let status = inner.status().context("start unshare")?;
    if !status.success() {
        bail!("oracle: failed ({status})");
    }
    Ok(())
}

/// Our API server alone.
fn ours(root: &Path) -> Result<PathBuf> {
    let status = Command::new("cargo").args(["build", "-p", "server", "--example", "oracle"]).current_dir(root).status()?;
    if !status.success() {
        bail!("our API server does not build");
    }
    let target = crate::test::target(root)?;
    let candidates = ["x86_64-unknown-linux-gnu/debug/examples/oracle", "debug/examples/oracle"].map(|p| target.join(p));
    candidates.into_iter().find(|path| path.is_file()).context("our API server was built, but is not where it should be")
}
