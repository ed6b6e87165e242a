//! `ironclad image save`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use runtime::{Config, Store};

use super::{Verb, label};
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    let names = Arg::new("name").required(true).value_name("IMAGE").action(ArgAction::Append).num_args(1..);
    let file = Arg::new("output").short('o').long("output").required(true).value_name("FILE");
    clap::Command::new("save")
        .about("Write images to a file that Docker, containerd and others load")
        .arg(names.help("Names or ids"))
        .arg(file.value_parser(value_parser!(PathBuf)).help("A tar file: an OCI layout and a docker archive at once"))
}

fn run(store: &Store, _: &Config, arguments: &ArgMatches) -> Result<()> {
    let Some(file) = arguments.get_one::<PathBuf>("output") else { bail!("name a file") };
    let names: Vec<String> = arguments.get_many::<String>("name").unwrap_or_default().cloned().collect();
    for image in store.save(&names, file)? {
        out::line(format_args!("saved {}", label(&image)));
    }
    Ok(())
}
