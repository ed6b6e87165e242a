//! `cargo xtask bench`: builds the product and the benchmark in release, and measures in a network namespace
//! of its own, with loopback alone.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::test::{binary, succeed};

/// Measures figures: all, or those named.
pub fn run(root: &Path, names: &[String], json: bool) -> Result<()> {
    let mut build = Command::new("cargo");
    // The build speaks on stderr, so that `--json` stays alone on stdout.
    succeed(build.args(["build", "--release", "-p", "ironclad", "-p", "bench"]).current_dir(root))?;
    let alone = "ip link set lo up && exec \"$@\"";
    let mut bench = Command::new("unshare");
    bench.args(["--net", "sh", "-c", alone, "sh"]).arg(binary(root, "release", "bench")?);
    bench.arg("--ironclad").arg(binary(root, "release", "ironclad")?).arg("--history");
    // Figures are of one machine: the last ones stay in its cache.
    bench.arg(crate::upstream::cache()?.join("bench.json"));
    if json {
        bench.arg("--json");
    }
    succeed(bench.args(names))
}
