//! `ironclad image pull`.

use anyhow::Result;
use clap::ArgMatches;
use runtime::{Config, Store};

use super::{Verb, credentials, label, name, named};
use crate::commands::block_on;
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    clap::Command::new("pull").about("Fetch an image from its registry").arg(name("Name")).arg(credentials::argument())
}

fn run(store: &Store, _: &Config, arguments: &ArgMatches) -> Result<()> {
    let known = credentials::given(arguments)?;
    let pulled = block_on(async { store.pull(named(arguments), known.as_ref()).await })??;
    out::line(format_args!("pulled {}", label(&pulled.image)));
    Ok(())
}
