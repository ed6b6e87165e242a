//! The program's commands: one file each, and the list.

mod admission;
mod apiserver;
mod controllers;
mod demo_server;
mod down;
mod envtest;
mod etcd;
mod eviction;
mod image;
pub mod kubectl;
mod logs;
mod ls;
mod supervise;
mod up;
mod version;

pub use demo_server::PORT as DEMO_PORT;
pub use version::KUBERNETES;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches};

use crate::out;

/// One command.
pub struct Command {
    /// Name, help and flags.
    pub definition: fn() -> clap::Command,
    /// Does it.
    pub run: fn(&ArgMatches) -> Result<()>,
}

/// All of them, in the order of the help.
static ALL: &[Command] = &[
    up::COMMAND,
    down::COMMAND,
    ls::COMMAND,
    image::COMMAND,
    kubectl::COMMAND,
    apiserver::COMMAND,
    controllers::COMMAND,
    envtest::COMMAND,
    version::COMMAND,
    supervise::COMMAND,
    demo_server::COMMAND,
];

/// What the program does when it is called by another name; the names are theirs.
static NAMES: &[Command] = &[apiserver::KUBE_APISERVER, etcd::COMMAND];

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
    let matches = match program.try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    let Some((name, arguments)) = matches.subcommand() else { return ExitCode::FAILURE };
    let Some(command) = ALL.iter().find(|c| (c.definition)().get_name() == name) else { return ExitCode::FAILURE };
    done((command.run)(arguments))
}

/// The same for a name that the program was called by, if it is one of its own.
pub fn run_as(name: &str) -> Option<ExitCode> {
    let command = NAMES.iter().find(|c| (c.definition)().get_name() == name)?;
    Some(match (command.definition)().try_get_matches() {
        Ok(matches) => done((command.run)(&matches)),
        Err(error) => refused(&error),
    })
}

fn done(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::error(advised(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

/// A full disk looks the same wherever it is met.
fn advised(text: &str) -> String {
    match text.contains("No space left on device") && !text.contains("free some space") {
        true => format!("{text}: free some space and run it again; nothing that was stored is lost"),
        false => text.to_owned(),
    }
}

/// One sentence about a command line that cannot be read.
fn refused(error: &clap::Error) -> ExitCode {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let path: Vec<&str> = usage.split_whitespace().skip(1).take_while(|w| !w.starts_with(['[', '<', '-'])).collect();
    let help = format!("see `{} --help`", if path.is_empty() { "ironclad".to_owned() } else { path.join(" ") });
    let flag = text(ContextKind::InvalidArg);
    let sentence = match error.kind() {
        ErrorKind::UnknownArgument if flag.starts_with('-') => format!("unknown flag {flag}: {help}"),
        ErrorKind::UnknownArgument => format!("{flag:?} is one argument too many: {help}"),
        ErrorKind::InvalidSubcommand => format!("unknown command {:?}: {help}", text(ContextKind::InvalidSubcommand)),
        ErrorKind::MissingRequiredArgument => format!("{flag} is missing: {help}"),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let value = text(ContextKind::InvalidValue);
            let why = std::error::Error::source(error).map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{value:?} is no value for {flag}{why}: see `ironclad --help`")
        }
        // Help and version go to standard output, and are no error.
        _ => error.exit(),
    };
    out::error(sentence);
    ExitCode::FAILURE
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

fn dirs(matches: &ArgMatches) -> Result<crate::dirs::Dirs> {
    let path = matches.get_one::<PathBuf>("data-dir").cloned();
    crate::dirs::Dirs::open(&path.unwrap_or_else(|| crate::dirs::DEFAULT_DATA.into()))
}

/// An async runtime with one thread, for commands that ask something and end.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}
