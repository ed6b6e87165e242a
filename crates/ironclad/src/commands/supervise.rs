//! `ironclad supervise`: what `up --detach` leaves in the background.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Arg, ArgMatches, value_parser};

use super::Command;
use crate::up::supervise;

pub(super) const COMMAND: Command = Command { definition, run };

fn definition() -> clap::Command {
    clap::Command::new(supervise::COMMAND)
        .about("Run a command line of ironclad, and start it again when it ends by a fault (`up --detach` does)")
        .hide(true)
        .arg(Arg::new("log").required(true).value_name("FILE").value_parser(value_parser!(PathBuf)))
        .arg(Arg::new("command").num_args(1..).required(true).last(true))
}

fn run(matches: &ArgMatches) -> Result<()> {
    let command = matches.get_many::<String>("command").into_iter().flatten().cloned().collect();
    let log = matches.get_one::<PathBuf>("log").cloned().unwrap_or_default();
    let status = supervise::run(command, &log)?;
    std::process::exit(status.code().unwrap_or(1))
}
