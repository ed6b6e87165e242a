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
use select::Selection;

/// Seconds that a spec is expected to take of which nothing is known.
const UNKNOWN: f64 = 8.0;

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
    /// Run on upstream's own control plane, which has no node that runs anything: is a red one red there, too?
    #[arg(long, conflicts_with_all = ["kubeconfig", "record"])]
    upstream: bool,
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
        None if options.upstream => on_upstream(root),
        None => on_our_own(root, options),
    }
}

/// Everything that needs the network is built and fetched first; then the same command runs again, inside.
fn on_our_own(root: &Path, options: &Options) -> Result<()> {
    if options.nodes != 1 {
        bail!("a cluster of our own has one node; --nodes describes the cluster of --kubeconfig");
    }
    ["e2e.test", "kubectl"].iter().try_for_each(|name| upstream::program(root, name).map(drop))?;
    let images = images::assemble(root)?;
    let ironclad = crate::test::ironclad(root)?;
    let mut inside = Command::new("unshare");
    inside.args(["--net", "bash"]).arg(root.join("tests/conformance/cluster.sh"));
    inside.arg(ironclad).arg(images).arg(images::REGISTRY);
    again_inside(inside)
}

/// The same with upstream's control plane as the cluster.
fn on_upstream(root: &Path) -> Result<()> {
    ["e2e.test", "kubectl"].iter().try_for_each(|name| upstream::program(root, name).map(drop))?;
    let programs = crate::bench::upstream(root)?;
    crate::test::succeed(Command::new("cargo").args(["build", "-p", "bench"]).current_dir(root))?;
    let mut inside = Command::new("unshare");
    // With its own process ids, so that nothing outlives it.
    inside.args(["--net", "--pid", "--fork", "--kill-child", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    inside.arg(crate::test::binary(root, "debug", "bench")?).arg("--upstream").arg(programs).arg("--");
    again_inside(inside)
}

/// Runs this command once more within another one, which tells the shell there where the kubeconfig is.
fn again_inside(mut inside: Command) -> Result<()> {
    inside.args(["sh", "-c", "exec \"$0\" \"$@\" --kubeconfig \"$KUBECONFIG\""]).arg(std::env::current_exe()?);
    inside.args(std::env::args_os().skip(1).filter(|argument| argument != "--upstream"));
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
        e2e: upstream::program(root, "e2e.test")?,
        kubectl: upstream::program(root, "kubectl")?,
        kubeconfig: std::path::absolute(kubeconfig)?,
        nodes: options.nodes,
        output: std::path::absolute(output)?,
    };
    let green = record::Green::read(root)?;
    let names = options.green.map(|minutes| green.selection(minutes, options.procs)).unwrap_or_default();
    let mut specs = suite.list(options.focus.as_deref())?;
    specs.iter_mut().for_each(|spec| spec.seconds = green.seconds(&spec.name).unwrap_or(UNKNOWN));
    let (parallel, serial) = selection(options, &names).choose(&specs);
    println!("{} specs side by side, {} alone; output in {}", parallel.len(), serial.len(), suite.output.display());
    let mut rows = judged(root, &suite, &parallel, options.procs)?;
    rows.extend(judged(root, &suite, &serial, 1)?);
    if options.green.is_some() {
        again(root, &suite, &mut rows)?;
    }
    finish(root, options, &specs, &rows)
}

fn selection<'a>(options: &Options, green: &'a [String]) -> Selection<'a> {
    match options {
        Options { green: Some(_), .. } => Selection::Named(green),
        Options { api_only: true, .. } => Selection::ApiOnly,
        Options { serial: true, .. } => Selection::Serial,
        Options { all: true, .. } => Selection::Conformance,
        Options { focus: Some(_), .. } => Selection::Any,
        _ => Selection::Parallel,
    }
}

/// Runs specs; those that pass without testing anything are red.
fn judged(root: &Path, suite: &suite::Suite, specs: &[Row], procs: usize) -> Result<Vec<Row>> {
    let mut rows = suite.run(specs, procs)?;
    record::empty_is_red(root, &mut rows)?;
    Ok(rows)
}

/// A red one gets a second chance, alone: one that passes then is a flake, and is shown as such.
fn again(root: &Path, suite: &suite::Suite, rows: &mut [Row]) -> Result<()> {
    let red: Vec<Row> = rows.iter().filter(|row| row.outcome == Outcome::Failed).cloned().collect();
    for second in judged(root, suite, &red, 1)?.into_iter().filter(|row| row.outcome == Outcome::Passed) {
        if let Some(first) = rows.iter_mut().find(|row| row.name == second.name) {
            println!("flake: {}: {}", first.name, first.line);
            *first = second;
        }
    }
    Ok(())
}

/// The reds once more below each other, the summary, and the record.
fn finish(root: &Path, options: &Options, specs: &[Row], rows: &[Row]) -> Result<()> {
    let red: Vec<&Row> = rows.iter().filter(|row| row.outcome == Outcome::Failed).collect();
    if !red.is_empty() {
        println!("\nred:");
        red.iter().for_each(|row| report::print(row));
    }
    println!("{}", report::summary(rows.iter().map(|row| row.outcome)));
    if options.record {
        record::write(root, specs, rows)?;
    }
    if !red.is_empty() {
        bail!("{} specs failed", red.len());
    }
    Ok(())
}
