//! `ironclad image import`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, value_parser};
use runtime::{Config, Store};

use super::{Verb, label};
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    let file = Arg::new("file").required(true).value_name("FILE").value_parser(value_parser!(PathBuf));
    let file = file.help("A docker archive or an OCI layout: a directory, .tar, .tar.gz or .tar.zst");
    clap::Command::new("import").about("Import the images in a file").arg(file)
}

fn run(store: &Store, _: &Config, arguments: &ArgMatches) -> Result<()> {
    let Some(file) = arguments.get_one::<PathBuf>("file") else { bail!("name a file") };
    for image in store.import(file)? {
        out::line(format_args!("imported {}", label(&image)));
    }
    Ok(())
}
