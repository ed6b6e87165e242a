//! `kubectl`: the command line of the cluster, with upstream's flags, output and messages.
//!
//! Place in the straight line: before `serve`; it is a client like any other.
//!
//! Invariants: every command is one file in `commands/` and one line in its `ALL`; output goes to
//! stdout, messages to stderr; an error ends with exit code 1 unless a remote command gave another.
//!
//! Must not know: the server's crates, the store, or how a node runs pods.

mod attaching;
mod commands;
mod config;
mod describe;
mod detaching;
mod discovery;
mod failure;
mod fetch;
mod flags;
mod manifest;
mod pods;
mod print;
mod selection;
mod semantic;
mod session;
mod streams;
mod units;
mod verbosity;

use std::path::Path;

use failure::Failure;

/// Runs one command line (without the program's name) and returns the exit code. `local` is the kubeconfig
/// of this machine's cluster: used when neither `--kubeconfig` nor `KUBECONFIG` names one and it exists.
pub fn main(arguments: Vec<String>, local: Option<&Path>) -> i32 {
    // Fails only if the program has chosen a provider before: then that one serves.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Message(error.to_string()).report(),
    };
    let code = match runtime.block_on(run(arguments, local)) {
        Ok(()) => 0,
        Err(failure) => failure.report(),
    };
    // A thread that reads the terminal cannot be cancelled: do not wait for it.
    runtime.shutdown_background();
    code
}

async fn run(arguments: Vec<String>, local: Option<&Path>) -> Result<(), Failure> {
    let root = commands::root();
    let line = std::iter::once("kubectl".to_owned()).chain(arguments.clone());
    let matches = match root.clone().try_get_matches_from(line) {
        Ok(matches) => matches,
        Err(error) => return flags::refused(&error, &root, &arguments),
    };
    commands::dispatch(&matches, local).await
}
