//! `ironclad supervise`: what `up --detach` leaves in the background.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, value_parser};

use super::Command;
use crate::up::supervise;

pub(super) const COMMAND: Command = Command { definition, run };

fn definition() -> clap::Command {
    clap::Command::new(supervise::COMMAND)
        .about("Run the command line in IRONCLAD_COMMAND, and start it again when it ends by a fault (`up --detach` does)")
        .hide(true)
        .arg(Arg::new("log").required(true).value_name("FILE").value_parser(value_parser!(PathBuf)))
}

fn run(matches: &ArgMatches) -> Result<()> {
    let command = supervise::command().context("there is no command line to supervise")?;
    let log = matches.get_one::<PathBuf>("log").cloned().unwrap_or_default();
    let status = supervise::run(command, &log)?;
    std::process::exit(status.code().unwrap_or(1))
}
