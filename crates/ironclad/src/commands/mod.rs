//! The program's commands: one file each, and the list.

mod demo_server;
mod down;
mod image;
pub mod kubectl;
mod up;
mod version;

pub use demo_server::PORT as DEMO_PORT;
pub use version::KUBERNETES;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches};

/// One command.
pub struct Command {
    /// Name, help and flags.
    pub definition: fn() -> clap::Command,
    /// Does it.
    pub run: fn(&ArgMatches) -> Result<()>,
}

/// All of them, in the order of the help.
static ALL: &[Command] =
    &[up::COMMAND, down::COMMAND, image::COMMAND, kubectl::COMMAND, version::COMMAND, demo_server::COMMAND];

/// Runs what the command line asks for. Errors are one sentence on standard error, and exit code 1.
pub fn run() -> ExitCode {
    let mut program = clap::Command::new("ironclad")
        .about("Kubernetes as one program")
        .version(concat!(env!("CARGO_PKG_VERSION"), " (Kubernetes 1.36)"))
        .subcommand_required(true)
        .arg_required_else_help(true);
    for command in ALL {
        program = program.subcommand((command.definition)());
    }
    let matches = program.get_matches();
    let Some((name, arguments)) = matches.subcommand() else { return ExitCode::FAILURE };
    let Some(command) = ALL.iter().find(|c| (c.definition)().get_name() == name) else { return ExitCode::FAILURE };
    match (command.run)(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `--data-dir`, which most commands have.
fn data_dir() -> Arg {
    Arg::new("data-dir")
        .long("data-dir")
        .value_name("DIR")
        .default_value(crate::dirs::DEFAULT_DATA)
        .value_parser(clap::value_parser!(PathBuf))
        .help("Where the cluster keeps its data")
}

fn dirs(matches: &ArgMatches) -> crate::dirs::Dirs {
    let path = matches.get_one::<PathBuf>("data-dir").cloned();
    crate::dirs::Dirs::of(&path.unwrap_or_else(|| crate::dirs::DEFAULT_DATA.into()))
}

/// An async runtime with one thread, for commands that ask something and end.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}
