//! `--creds`: who asks a registry.

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches};
use runtime::Credentials;

/// Where they may stand as well, seen by nobody who lists processes.
const VARIABLE: &str = "IRONCLAD_REGISTRY_CREDS";

/// The argument.
pub(super) fn argument() -> Arg {
    Arg::new("creds")
        .long("creds")
        .value_name("USER:PASSWORD")
        .env(VARIABLE)
        .hide_env_values(true)
        .help("Credentials for the registry")
}

/// What it says.
pub(super) fn given(arguments: &ArgMatches) -> Result<Option<Credentials>> {
    let Some(text) = arguments.get_one::<String>("creds") else { return Ok(None) };
    let (username, password) = text.split_once(':').context("--creds is USER:PASSWORD")?;
    Ok(Some(Credentials { username: username.to_owned(), password: password.to_owned() }))
}
