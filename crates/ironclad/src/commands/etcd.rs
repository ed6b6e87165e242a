//! What this program does under the name `etcd`: envtest starts one before the API server, and waits for its health.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, value_parser};
use http::Uri;

use super::Command;
use crate::apiserver::stand_in;

pub(super) const COMMAND: Command = Command { definition, run };

/// Where etcd listens by default.
const DEFAULT: &str = "http://localhost:2379";

fn definition() -> clap::Command {
    let urls = |name: &'static str, help: &'static str| {
        let urls = Arg::new(name).long(name).value_name("URL").help(help).value_delimiter(',');
        urls.value_parser(ValueParser::new(stand_in::url))
    };
    let about = "A stand-in for etcd that keeps nothing: the API server of Ironclad has its store itself";
    clap::Command::new("etcd")
        .about(about)
        .arg(urls("listen-client-urls", "Where its health is answered").default_value(DEFAULT))
        .arg(urls("advertise-client-urls", "Where clients are to look: must be among those that are listened at"))
        .arg(urls("listen-peer-urls", "Must be URLs; there are no peers, and nobody listens"))
        .arg(Arg::new("data-dir").long("data-dir").value_name("DIR").value_parser(value_parser!(PathBuf)).help("Is made, and stays empty"))
        .arg(super::apiserver::boolean("unsafe-no-fsync", "Nothing is written, and nothing is synced"))
}

fn run(matches: &ArgMatches) -> Result<()> {
    let urls = |name: &str| matches.get_many::<Uri>(name).into_iter().flatten().cloned().collect::<Vec<Uri>>();
    let listen = urls("listen-client-urls");
    for advertised in urls("advertise-client-urls") {
        ensure!(listen.contains(&advertised), "--advertise-client-urls {advertised} is not among --listen-client-urls");
    }
    if let Some(directory) = matches.get_one::<PathBuf>("data-dir") {
        std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    }
    super::block_on(stand_in::serve(&listen))?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What envtest of controller-runtime v0.24.1 passes, and that it finds the flag by which it saves time.
    #[test]
    fn envtests_flags_are_taken() {
        let url = "http://127.0.0.1:2379";
        let flags = ["listen-client-urls", "advertise-client-urls", "listen-peer-urls"].map(|name| format!("--{name}={url}"));
        let given = ["etcd", "--data-dir=/tmp/d", "--unsafe-no-fsync=true"].map(str::to_owned).into_iter().chain(flags);
        assert!(definition().try_get_matches_from(given).is_ok());
        assert!(definition().try_get_matches_from(["etcd", "--name=a"]).is_err(), "unknown flags are errors");
        let help = definition().render_help().to_string();
        assert!(help.lines().any(|line| line.trim_start().starts_with("--unsafe-no-fsync")), "{help}");
    }
}
