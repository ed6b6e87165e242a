//! `ironclad image`: the images of this node. One file for each verb, and the list.

mod credentials;
mod import;
mod inspect;
mod ls;
mod prune;
mod pull;
mod push;
mod rm;
mod save;
mod tag;

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches};
use runtime::{Image, Store};

use super::Command;

pub(super) const COMMAND: Command = Command { definition, run };

/// One verb.
struct Verb {
    /// Name, help and flags.
    definition: fn() -> clap::Command,
    /// Does it, with the store of the node and the runtime's places.
    run: fn(&Store, &runtime::Config, &ArgMatches) -> Result<()>,
}

/// All of them, in the order of the help.
static ALL: &[Verb] =
    &[import::VERB, ls::VERB, inspect::VERB, pull::VERB, push::VERB, tag::VERB, save::VERB, rm::VERB, prune::VERB];

fn definition() -> clap::Command {
    let verbs = ALL.iter().map(|verb| (verb.definition)().arg(super::data_dir()));
    clap::Command::new("image")
        .about("Import, fetch, list, name, save, send and remove the images of this node")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(verbs)
}

fn run(matches: &ArgMatches) -> Result<()> {
    let Some((name, arguments)) = matches.subcommand() else { bail!("name a verb") };
    let Some(verb) = ALL.iter().find(|verb| (verb.definition)().get_name() == name) else { bail!("name a verb") };
    let dirs = super::dirs(arguments)?;
    crate::up::marker::check(&dirs.data)?;
    let config = dirs.runtime();
    (verb.run)(&Store::of(&config)?, &config, arguments)
}

/// The argument that names an image.
fn name(help: &'static str) -> Arg {
    Arg::new("name").required(true).value_name("IMAGE").help(help)
}

/// What it says.
fn named(arguments: &ArgMatches) -> &str {
    arguments.get_one::<String>("name").map_or("", String::as_str)
}

/// What people call an image.
fn label(image: &Image) -> String {
    let names = if image.tags.is_empty() { &image.digests } else { &image.tags };
    if names.is_empty() { image.id.clone() } else { names.join(", ") }
}
