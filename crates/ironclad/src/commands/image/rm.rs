//! `ironclad image rm`.

use anyhow::Result;
use clap::ArgMatches;
use runtime::{Config, Store, layers_in_use};

use super::{Verb, name, named};
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    clap::Command::new("rm").about("Remove a name of an image, with the last one or by its id the image").arg(name("Name or id"))
}

fn run(store: &Store, config: &Config, arguments: &ArgMatches) -> Result<()> {
    store.remove(named(arguments), &layers_in_use(config)?)?;
    out::line(format_args!("removed {}", named(arguments)));
    Ok(())
}
