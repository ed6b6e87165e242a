//! `cargo xtask kills`: the program, shims and whole pods are killed at random moments of the life of pods.

use std::path::Path;

use anyhow::Result;
use clap::Args;

/// How often, and which chance.
#[derive(Args)]
pub struct Options {
    /// How many kills.
    #[arg(long, default_value_t = 300)]
    rounds: usize,
    /// Where all chance comes from; another one each time if it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

impl Options {
    /// A short one with fresh chance.
    pub fn short() -> Self {
        Options { rounds: 40, seed: None }
    }
}

/// Kills.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    crate::soak::in_namespaces(root, "--kills", &options.rounds.to_string(), options.seed)
}
