//! `ironclad image tag`.

use anyhow::Result;
use clap::{Arg, ArgMatches};
use runtime::{Config, Store};

use super::{Verb, name, named};
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    let new = Arg::new("new").required(true).value_name("NAME").help("One more name for it; it leaves the image that has it");
    clap::Command::new("tag").about("Give an image one more name").arg(name("Name or id")).arg(new)
}

fn run(store: &Store, _: &Config, arguments: &ArgMatches) -> Result<()> {
    let new = arguments.get_one::<String>("new").map_or("", String::as_str);
    let image = store.tag(named(arguments), new)?;
    out::line(format_args!("tagged {}", image.tags.first().map_or(new, String::as_str)));
    Ok(())
}
