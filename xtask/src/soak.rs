//! `cargo xtask soak`: a whole cluster under mixed load with a fault every ten seconds, in namespaces of its own.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Args;

use crate::test::{binary, ironclad, succeed};

/// How long, and which chance.
#[derive(Args)]
pub struct Options {
    /// How long the load and the faults last.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Where all chance comes from; another one each time if it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

impl Options {
    /// A short one with fresh chance.
    pub fn short() -> Self {
        Options { minutes: 1.0, seed: None }
    }
}

/// Wears it.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    in_namespaces(root, "--soak", &options.minutes.to_string(), options.seed)
}

/// Builds the program as tests do, and has it tried from outside, in namespaces of its own for network and mounts; with
/// fresh chance where no seed is given.
pub fn in_namespaces(root: &Path, trial: &str, length: &str, seed: Option<u64>) -> Result<()> {
    let program = ironclad(root)?;
    // With a test beside it, it is built of what the workspace's tests are built of, and nothing twice.
    let build = ["build", "--workspace", "--bin", "bench", "--test", "battery"];
    succeed(Command::new("cargo").args(build).current_dir(root))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seed = seed.unwrap_or(now.as_secs());
    let mut soak = Command::new("unshare");
    soak.args(["--net", "--mount", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    soak.arg(binary(root, "debug", "bench")?).arg("--ironclad").arg(program);
    succeed(soak.args([trial, length, "--seed", &seed.to_string()]))
}
