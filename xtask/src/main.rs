//! Development tasks: `cargo xtask NAME`. Each is one file here and one variant below.

mod bench;
mod clients;
mod cmd;
mod codegen;
mod conformance;
mod kills;
mod limits;
mod oracle;
mod soak;
mod test;
mod tidy;
mod upgrade;
mod upstream;
mod vm;

use std::path::Path;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Development tasks of Ironclad.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures speed and memory of the release build, beside the previous figures and the goals.
    Bench {
        /// Figures, or starts of their names (`api`, `idle.pss_mb`); all when none is named.
        names: Vec<String>,
        /// One JSON object a line: name, value, unit, goal, previous.
        #[arg(long, conflicts_with = "upstream")]
        json: bool,
        /// Compare with upstream's own control plane instead, and write docs/performance.md; names are
        /// measurements then (ready, writes, reads, fanout, scheduling, deployment).
        #[arg(long)]
        upstream: bool,
    },
    /// Runs suites with the clients of Go, Python, JavaScript and Java against a live cluster.
    Clients(clients::Options),
    /// Runs functions of upstream's test/cmd, with upstream's kubectl, against our API server and our controllers.
    Cmd(cmd::Options),
    /// Writes the schema tables from upstream's published specification.
    Codegen {
        /// Only check that the committed files are fresh.
        #[arg(long)]
        check: bool,
    },
    /// Runs upstream's end-to-end suite, on a cluster of ours or on any other.
    Conformance(conformance::Options),
    /// Kills the program, shims and whole pods at random moments as pods start, run and stop.
    Kills(kills::Options),
    /// Replays requests on upstream's kube-apiserver and on ours, and shows what differs.
    Oracle(oracle::Options),
    /// Wears a cluster with mixed load and a fault every ten seconds.
    Soak(soak::Options),
    /// Runs every test; installs with apt what they need and the machine lacks.
    Test,
    /// Checks layers, sizes, banned calls and documents.
    Tidy,
    /// Takes over a cluster that the binary of the last closed issue has started, and tries the way back.
    Upgrade,
    /// Builds upstream's own programs from their Go modules, and prints where they are.
    Upstream {
        /// Which ones; all when none is named.
        names: Vec<String>,
    },
    /// Runs tests in a virtual machine, for what this machine's kernel lacks or refuses.
    Vm(vm::Options),
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    match Cli::parse().task {
        Task::Bench { names, upstream: true, .. } => bench::compare(root, &names),
        Task::Bench { names, json, .. } => bench::run(root, &names, json),
        Task::Clients(options) => clients::run(root, &options),
        Task::Cmd(options) => cmd::run(root, &options),
        Task::Codegen { check } => codegen::run(root, check),
        Task::Conformance(options) => conformance::run(root, &options),
        Task::Kills(options) => kills::run(root, &options),
        Task::Oracle(options) => oracle::run(root, &options),
        Task::Soak(options) => soak::run(root, &options),
        Task::Test => test::run(root),
        Task::Tidy => tidy::run(root),
        Task::Upgrade => upgrade::run(root),
        Task::Upstream { names } => upstream::run(root, &names),
        Task::Vm(options) => vm::run(root, &options),
    }
}
