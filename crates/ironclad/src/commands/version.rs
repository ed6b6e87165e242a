//! `ironclad version`.

use anyhow::Result;
use clap::ArgMatches;

use super::Command;

pub(super) const COMMAND: Command = Command { definition, run };

/// The Kubernetes version that is served.
pub const KUBERNETES: &str = "v1.36.3";

fn definition() -> clap::Command {
    clap::Command::new("version").about("Print the versions of Ironclad and of the Kubernetes API it serves")
}

fn run(_: &ArgMatches) -> Result<()> {
    crate::out::line(format_args!("Ironclad v{} (Kubernetes {KUBERNETES})", env!("CARGO_PKG_VERSION")));
    Ok(())
}
