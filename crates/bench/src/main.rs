//! Measures Ironclad from outside, as a client on loopback sees it: speed, memory, bytes written.
//!
//! `cargo xtask bench` builds this and the product in release and runs it in a network namespace of its own.
//! A figure is one file in `figures/` and one line in its list.

mod cluster;
mod compare;
mod figures;
mod hold;
mod https;
mod kills;
mod kubeconfig;
mod load;
mod pki;
mod process;
mod report;
mod soak;
mod target;
mod upstream;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Parser;

/// Measures a build of Ironclad.
#[derive(Parser)]
struct Cli {
    /// Figures, or starts of their names (`api`, `idle.pss_mb`); all when none is named.
    names: Vec<String>,
    /// The program to measure.
    #[arg(long, default_value = "ironclad")]
    ironclad: PathBuf,
    /// Where the last figures are kept.
    #[arg(long, default_value = "bench.json")]
    history: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Compare with upstream's programs in this directory instead.
    #[arg(long)]
    upstream: Option<PathBuf>,
    /// Where the comparison is written.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Measures nothing: wears a cluster for so many minutes, with load and faults.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<f64>,
    /// Measures nothing: kills the program, shims and whole pods so many times as pods start, run and stop.
    #[arg(long, value_name = "ROUNDS")]
    kills: Option<usize>,
    /// Where the chance of `--soak` and `--kills` comes from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Measures nothing: runs this on upstream's control plane, whose kubeconfig is in `$KUBECONFIG`.
    #[arg(last = true, requires = "upstream")]
    command: Vec<OsString>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if let Some(minutes) = cli.soak {
        return runtime.block_on(soak::run(&cli.ironclad, minutes, cli.seed));
    }
    if let Some(rounds) = cli.kills {
        return runtime.block_on(kills::run(&cli.ironclad, rounds, cli.seed));
    }
    match &cli.upstream {
        Some(programs) if !cli.command.is_empty() => runtime.block_on(hold::run(programs, &cli.command)),
        Some(programs) => runtime.block_on(compare::run(&cli.ironclad, programs, &cli.names, cli.page.as_deref())),
        None => measure(&runtime, &cli),
    }
}

/// Measures the figures that were asked for.
fn measure(runtime: &tokio::runtime::Runtime, cli: &Cli) -> Result<()> {
    let wanted = |name: &str| cli.names.is_empty() || cli.names.iter().any(|n| name == n || name.starts_with(&format!("{n}.")));
    for name in &cli.names {
        let known = figures::ALL.iter().flat_map(|group| group.figures).any(|f| f.name == name || f.name.starts_with(&format!("{name}.")));
        if !known {
            let all: Vec<&str> = figures::ALL.iter().flat_map(|group| group.figures).map(|f| f.name).collect();
            bail!("no figure is called {name}; there are: {}", all.join(", "));
        }
    }
    let mut report = report::Report::open(&cli.history, cli.json)?;
    for group in figures::ALL {
        if group.figures.iter().any(|figure| wanted(figure.name)) {
            let values = runtime.block_on((group.measure)(cli.ironclad.clone()))?;
            for (figure, value) in group.figures.iter().zip(values) {
                if wanted(figure.name) {
                    report.add(figure, value)?;
                }
            }
        }
    }
    report.keep()
}
