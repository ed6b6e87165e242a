//! `ironclad image prune`.

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches};
use runtime::{Config, Store, layers_in_use};

use super::{Verb, label};
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    let all = Arg::new("all").short('a').long("all").action(ArgAction::SetTrue);
    clap::Command::new("prune")
        .about("Remove the images that no container uses")
        .arg(all.help("Also those that came from files, and cannot be fetched again"))
}

fn run(store: &Store, config: &Config, arguments: &ArgMatches) -> Result<()> {
    let pruned = store.prune(&layers_in_use(config)?, arguments.get_flag("all"))?;
    for image in &pruned.images {
        out::line(format_args!("removed {}", label(image)));
    }
    out::line(format_args!("{:.1} MB freed", pruned.bytes as f64 / 1e6));
    Ok(())
}
