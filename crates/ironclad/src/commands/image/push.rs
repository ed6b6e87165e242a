//! `ironclad image push`.

use anyhow::Result;
use clap::ArgMatches;
use runtime::{Config, Store};

use super::{Verb, credentials, name, named};
use crate::commands::block_on;
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    let name = name("Name with a tag: it says to which registry");
    clap::Command::new("push").about("Send an image to its registry").arg(name).arg(credentials::argument())
}

fn run(store: &Store, _: &Config, arguments: &ArgMatches) -> Result<()> {
    let known = credentials::given(arguments)?;
    let digest = block_on(async { store.push(named(arguments), known.as_ref()).await })??;
    out::line(format_args!("pushed {}@{digest}", named(arguments)));
    Ok(())
}
