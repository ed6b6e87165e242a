//! `ironclad kubectl …`, and the program under the name `kubectl`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgMatches};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::Command;

pub(super) const COMMAND: Command = Command { definition, run };

fn definition() -> clap::Command {
    let rest = Arg::new("arguments").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true);
    clap::Command::new("kubectl")
        .about("Talk to a cluster; finds this machine's cluster by itself")
        .disable_help_flag(true)
        .arg(rest)
}

fn run(matches: &ArgMatches) -> Result<()> {
    let arguments = matches.get_many::<String>("arguments").into_iter().flatten().cloned().collect();
    std::process::exit(code(arguments))
}

/// Runs kubectl with these arguments.
pub fn run_as(arguments: Vec<String>) -> ExitCode {
    ExitCode::from(u8::try_from(code(arguments)).unwrap_or(1))
}

fn code(arguments: Vec<String>) -> i32 {
    // Whoever reads what is printed may stop (`| head`): that ends this program without a word, as it ends upstream's.
    // SAFETY: the default action is no handler, and nothing else has been started yet.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let local = crate::dirs::Dirs::of(std::path::Path::new(crate::dirs::DEFAULT_DATA)).kubeconfig();
    kubectl::main(arguments, Some(&local))
}
