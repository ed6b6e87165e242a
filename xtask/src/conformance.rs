//! `cargo xtask conformance`: upstream's end-to-end suite, on a cluster of ours or on any other.
//!
//! Without `--kubeconfig` a cluster with default security is brought up in a network namespace without a way out
//! (`tests/conformance/cluster.sh`), and the same command runs in it again with its kubeconfig.

mod images;
mod record;
mod report;
mod select;
mod suite;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::upstream;
use report::{Outcome, Row};
use select::Part;

/// What to run, and on what.
#[derive(Args)]
pub struct Options {
    /// Only the specs that need no running container.
    #[arg(long, group = "selection")]
    api_only: bool,
    /// Only the serial specs, in one process.
    #[arg(long, group = "selection")]
    serial: bool,
    /// All conformance specs, the serial ones last. Without a selection: all that are not serial.
    #[arg(long, group = "selection")]
    all: bool,
    /// The specs of tests/conformance/green.txt that fit into so many minutes; fails when one is red twice.
    #[arg(long, group = "selection", value_name = "MINUTES")]
    green: Option<u64>,
    /// Only specs whose names match; alone, of the whole suite and not only of its conformance part.
    #[arg(long, value_name = "REGEX")]
    focus: Option<String>,
    /// How many run at a time.
    #[arg(long, default_value_t = 4)]
    procs: usize,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// Run on this cluster instead of one of our own.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Write the results into docs/conformance.md and new passes into tests/conformance/green.txt.
    #[arg(long)]
    record: bool,
    /// Where the suite's output and reports go.
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
}

/// Runs the specs and prints a table; fails when one failed.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    match &options.kubeconfig {
        Some(kubeconfig) => on(root, options, kubeconfig),
        None => on_our_own(root, options),
    }
}

/// Everything that needs the network is built and fetched first; then the same command runs again, inside.
fn on_our_own(root: &Path, options: &Options) -> Result<()> {
    if options.nodes != 1 {
        bail!("a cluster of our own has one node; --nodes describes the cluster of --kubeconfig");
    }
    ["e2e.test", "ginkgo", "kubectl"].iter().try_for_each(|name| upstream::program(root, name).map(drop))?;
    let images = images::assemble(root)?;
    let ironclad = crate::test::ironclad(root)?;
    let mut inside = Command::new("unshare");
    inside.args(["--net", "bash"]).arg(root.join("tests/conformance/cluster.sh"));
    inside.arg(ironclad).arg(images).arg(images::REGISTRY);
    // The shell there knows where the kubeconfig is.
    inside.args(["sh", "-c", "exec \"$0\" \"$@\" --kubeconfig \"$KUBECONFIG\""]);
    inside.arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    let status = inside.status().context("start unshare")?;
    if !status.success() {
        bail!("the conformance run failed ({status})");
    }
    Ok(())
}

/// Runs the specs on a cluster that is there.
fn on(root: &Path, options: &Options, kubeconfig: &Path) -> Result<()> {
    let output = match &options.output {
        Some(dir) => dir.clone(),
        None => upstream::cache()?.join("conformance"),
    };
    let suite = suite::Suite {
        ginkgo: upstream::program(root, "ginkgo")?,
        e2e: upstream::program(root, "e2e.test")?,
        kubectl: upstream::program(root, "kubectl")?,
        kubeconfig: std::path::absolute(kubeconfig)?,
        nodes: options.nodes,
        output,
    };
    let green = record::Green::read(root)?;
    let mut rows = Vec::new();
    for part in parts(options, &green)? {
        rows.extend(suite.run(&part, options.procs)?);
    }
    if options.green.is_some() {
        again(&suite, &mut rows)?;
    }
    report::print(&rows);
    if options.record {
        record::write(root, &rows)?;
    }
    let failed = rows.iter().filter(|row| row.outcome == Outcome::Failed).count();
    if failed > 0 {
        bail!("{failed} specs failed");
    }
    Ok(())
}

/// What is run one after another.
fn parts(options: &Options, green: &record::Green) -> Result<Vec<Part>> {
    let focus = options.focus.as_deref();
    Ok(match options.green {
        Some(minutes) => {
            let (parallel, serial) = green.selection(minutes, options.procs);
            [(parallel, false), (serial, true)]
                .into_iter()
                .filter(|(names, _)| !names.is_empty())
                .map(|(names, serial)| Part::named("green", &names, serial))
                .collect()
        }
        None if options.api_only => vec![Part::api_only(focus, false), Part::api_only(focus, true)],
        None if options.serial => vec![Part::conformance(focus, true)],
        None if options.all => vec![Part::conformance(focus, false), Part::conformance(focus, true)],
        None => match focus {
            Some(focus) => vec![Part::any(focus, false), Part::any(focus, true)],
            None => vec![Part::conformance(None, false)],
        },
    })
}

/// A red one gets a second chance, alone: one that passes then is a flake, and is shown as such.
fn again(suite: &suite::Suite, rows: &mut [Row]) -> Result<()> {
    let red: Vec<String> = rows.iter().filter(|row| row.outcome == Outcome::Failed).map(|row| row.name.clone()).collect();
    if red.is_empty() {
        return Ok(());
    }
    let passed = |row: &Row| row.outcome == Outcome::Passed;
    for second in suite.run(&Part::named("again", &red, true), 1)?.into_iter().filter(passed) {
        if let Some(first) = rows.iter_mut().find(|row| row.name == second.name && row.outcome == Outcome::Failed) {
            println!("flake: {}: {}", first.name, first.line);
            *first = second;
        }
    }
    Ok(())
}
