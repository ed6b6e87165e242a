//! The flags that say where the logs of pods lie and when they are rotated; the kubelet's own, word for word.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Arg, ArgMatches, value_parser};
use kubelet::log::rotate::Policy;

const DIR: &str = "pod-logs-dir";
const MAX_SIZE: &str = "container-log-max-size";
const MAX_FILES: &str = "container-log-max-files";

/// All of them.
pub fn flags() -> [Arg; 3] {
    let flag = |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    [
        flag(DIR, "DIR", "Where the logs of pods lie [default: /var/log/pods, or `logs` in another data directory]")
            .value_parser(value_parser!(PathBuf)),
        flag(MAX_SIZE, "QUANTITY", "Size from which on a container's log is rotated; a negative one: never")
            .default_value("10Mi")
            .allow_hyphen_values(true),
        flag(MAX_FILES, "COUNT", "Files that are kept of a container's log, all but the last two compressed")
            .default_value("5")
            .value_parser(value_parser!(i64)),
    ]
}

/// When they are rotated.
pub fn rotation(matches: &ArgMatches) -> Result<Policy> {
    let size = matches.get_one::<String>(MAX_SIZE).map_or("10Mi", String::as_str);
    Policy::parse(size, matches.get_one(MAX_FILES).copied().unwrap_or(5)).map_err(|why| anyhow!("--{MAX_SIZE}, --{MAX_FILES}: {why}"))
}

/// Where they lie, if that is said.
pub fn directory(matches: &ArgMatches) -> Result<Option<PathBuf>> {
    let Some(dir) = matches.get_one::<PathBuf>(DIR) else { return Ok(None) };
    // Upstream: `podLogsDir` in the validation of a kubelet's configuration.
    if !dir.is_absolute() {
        bail!("--{DIR}: {} is no absolute path", dir.display());
    }
    if !dir.to_str().is_some_and(str::is_ascii) {
        bail!("--{DIR}: pod logs path {:?} must contain ASCII characters only", dir.display().to_string());
    }
    if dir.components().collect::<PathBuf>().as_os_str() != dir.as_os_str() || dir.components().any(|c| c.as_os_str() == "..") {
        bail!("--{DIR}: pod logs path {:?} must be normalized", dir.display().to_string());
    }
    Ok(Some(dir.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> (Result<Policy>, Result<Option<PathBuf>>) {
        let words = std::iter::once("up").chain(words.iter().copied());
        let matches = clap::Command::new("up").args(flags()).get_matches_from(words);
        (rotation(&matches), directory(&matches))
    }

    #[test]
    fn the_kubelets_flags_are_taken() {
        let (rotation, directory) = read(&[]);
        assert_eq!((rotation.expect("good"), directory.expect("good")), (Policy::default(), None));
        let (rotation, directory) = read(&["--container-log-max-size=-1", "--container-log-max-files=2", "--pod-logs-dir=/x/y"]);
        let never = Policy { max_size: None, max_files: 2 };
        assert_eq!((rotation.expect("good"), directory.expect("good")), (never, Some("/x/y".into())));
        for dir in ["logs", "/x/../y", "/x/y/", "/ä"] {
            assert!(read(&["--pod-logs-dir", dir]).1.is_err(), "{dir}");
        }
        assert!(read(&["--container-log-max-files=1"]).0.is_err());
    }
}
