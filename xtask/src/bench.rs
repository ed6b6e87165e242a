//! `cargo xtask bench`: builds the product and the benchmark in release, and measures in a network namespace
//! of its own, with loopback alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::test::{binary, succeed};
use crate::upstream;

/// What runs of upstream's in a comparison.
const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// Measures figures: all, or those named.
pub fn run(root: &Path, names: &[String], json: bool) -> Result<()> {
    let mut bench = prepare(root)?;
    if json {
        bench.arg("--json");
    }
    succeed(bench.args(names))
}

/// Measures the same on upstream's control plane and on ours; all of it writes `docs/performance.md`.
pub fn compare(root: &Path, names: &[String]) -> Result<()> {
    let programs = upstream(root)?;
    let mut bench = prepare(root)?;
    bench.arg("--upstream").arg(programs);
    if names.is_empty() {
        bench.arg("--page").arg(root.join("docs/performance.md"));
    }
    succeed(bench.args(names))
}

/// The directory of upstream's control plane, built if it is not there.
pub fn upstream(root: &Path) -> Result<PathBuf> {
    let paths: Result<Vec<_>> = PROGRAMS.iter().map(|name| upstream::program(root, name)).collect();
    Ok(paths?[0].parent().context("the directory of upstream's programs")?.to_owned())
}

/// Where the cluster test's images are, assembled here: the namespace has no way to Debian's packages.
fn images(root: &Path) -> Result<PathBuf> {
    let script = root.join("tests/cluster/images.sh");
    let made = upstream::cache()?.join("bench-images");
    let is_fresh = || Some(made.join("nginx.tar").metadata().ok()?.modified().ok()? >= script.metadata().ok()?.modified().ok()?);
    if is_fresh() != Some(true) {
        std::fs::create_dir_all(&made)?;
        succeed(Command::new("bash").arg(&script).arg(&made).stdout(std::process::Stdio::null()))?;
    }
    Ok(made)
}

/// The benchmark, built and ready to start in a namespace of its own.
fn prepare(root: &Path) -> Result<Command> {
    let mut build = Command::new("cargo");
    // The build speaks on stderr, so that `--json` stays alone on stdout.
    succeed(build.args(["build", "--release", "-p", "ironclad"]).current_dir(root))?;
    // By itself: together they would share features, and the product measured would not be the one that is shipped.
    let mut build = Command::new("cargo");
    succeed(build.args(["build", "--release", "-p", "bench"]).current_dir(root))?;
    let alone = "ip link set lo up && exec \"$@\"";
    let mut bench = Command::new("unshare");
    bench.args(["--net", "sh", "-c", alone, "sh"]).arg(binary(root, "release", "bench")?);
    bench.arg("--ironclad").arg(binary(root, "release", "ironclad")?).arg("--history");
    // Figures are of one machine: the last ones stay in its cache.
    bench.arg(upstream::cache()?.join("bench.json"));
    bench.env("IRONCLAD_IMAGES", images(root)?);
    Ok(bench)
}
