//! `ironclad image`: the images of this node.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, value_parser};
use runtime::{Embedded, Image, Runtime, Store, layers_in_use};

use super::Command;
use crate::out;

pub(super) const COMMAND: Command = Command { definition, run };

fn definition() -> clap::Command {
    let file = Arg::new("file").required(true).value_name("FILE").value_parser(value_parser!(PathBuf));
    let file = file.help("A docker archive or an OCI layout: a directory, .tar, .tar.gz or .tar.zst");
    let name = |help: &'static str| Arg::new("name").required(true).value_name("IMAGE").help(help);
    clap::Command::new("image")
        .about("Import, list and remove the images of this node")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            clap::Command::new("import").about("Import the images in a file").arg(file).arg(super::data_dir()),
        )
        .subcommand(clap::Command::new("ls").about("List images").arg(super::data_dir()))
        .subcommand(
            clap::Command::new("rm").about("Remove an image").arg(name("Name or id")).arg(super::data_dir()),
        )
        .subcommand(
            clap::Command::new("pull").about("Fetch an image from its registry").arg(name("Name")).arg(super::data_dir()),
        )
}

fn run(matches: &ArgMatches) -> Result<()> {
    let Some((verb, arguments)) = matches.subcommand() else { bail!("name a verb: import, ls, rm or pull") };
    let config = super::dirs(arguments).runtime();
    let store = Store::open(config.images())?;
    let name = || arguments.get_one::<String>("name").map_or("", String::as_str);
    match verb {
        "import" => {
            let Some(file) = arguments.get_one::<PathBuf>("file") else { bail!("name a file") };
            for image in store.import(file)? {
                out::line(format_args!("imported {}", label(&image)));
            }
        }
        "pull" => {
            let pulled = super::block_on(async { Embedded::new(config)?.pull(name(), None).await })??;
            out::line(format_args!("pulled {}", label(&pulled.image)));
        }
        "rm" => {
            store.remove(name(), &layers_in_use(&config)?)?;
            out::line(format_args!("removed {}", name()));
        }
        _ => list(&store.list()?),
    }
    Ok(())
}

fn label(image: &Image) -> String {
    let names = if image.tags.is_empty() { &image.digests } else { &image.tags };
    if names.is_empty() { image.id.clone() } else { names.join(", ") }
}

fn list(images: &[Image]) {
    out::line(format_args!("{:<60} {:<14} {:>10}", "IMAGE", "ID", "SIZE"));
    for image in images {
        let id: String = image.id.trim_start_matches("sha256:").chars().take(12).collect();
        let names = if image.tags.is_empty() { vec!["<none>".to_owned()] } else { image.tags.clone() };
        for name in names {
            out::line(format_args!("{name:<60} {id:<14} {:>7.1} MB", image.size as f64 / 1e6));
        }
    }
}
