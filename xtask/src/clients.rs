//! `cargo xtask clients`: other people's clients on a live cluster, a suite for each language.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::test::{self, install, succeed};

/// What builds and runs the suites, and Debian's packages that have it. Go is there for upstream's modules.
const NEEDED: &[(&str, &str)] =
    &[("pip3", "python3-pip"), ("npm", "npm"), ("mvn", "maven"), ("javac", "default-jdk-headless")];

/// Which of them.
#[derive(Args, Default)]
pub struct Options {
    /// `go`, `python`, `javascript`, `java`, `rust`, `envtest`; all when none is named.
    suites: Vec<String>,
}

/// Runs them. What they are built from is fetched once, into the cache.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    install(NEEDED)?;
    let ironclad = test::ironclad(root)?;
    let suite = test::example(root, "clients-rust")?;
    let mut script = Command::new("bash");
    script.env("IRONCLAD_RUST_SUITE", suite);
    script.arg(root.join("tests/clients/run.sh")).arg(ironclad).args(&options.suites);
    succeed(script.env("PATH", test::path()))
}
