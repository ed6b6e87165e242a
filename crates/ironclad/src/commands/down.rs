//! `ironclad down`: the machine as it was before `up`.

use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgAction, ArgMatches};
use ipnet::Ipv4Net;
use network::bridge::Remains;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Command;
use crate::clusters::{self, Cluster};
use crate::dirs::{self, Dirs};
use crate::home;
use crate::out;
use crate::up::lock::running;
use crate::up::{preflight, supervise};

pub(super) const COMMAND: Command = Command { definition, run };

/// How long the running cluster may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ranges of a cluster that has left no word of its own.
const DEFAULT_RANGES: [Ipv4Net; 2] =
    [Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 16), Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12)];

/// How one of something is called, and more of it.
type Sort = (&'static str, &'static str);
/// What is removed; of two that begin alike the longer comes first.
const SORTS: &[Sort] = &[
    ("process", "processes"),
    ("mount", "mounts"),
    ("cgroup", "cgroups"),
    ("pod directory", "pod directories"),
    ("pod", "pods"),
    ("container", "containers"),
    ("network namespace", "network namespaces"),
    ("nftables table", "nftables tables"),
    ("link to a log", "links to logs"),
    ("link", "links"),
    ("route", "routes"),
    ("setting", "settings of the kernel"),
    ("context", "contexts"),
    ("log directory", "log directories"),
    ("directory", "directories"),
];

fn definition() -> clap::Command {
    let purge = Arg::new("purge").long("purge").action(ArgAction::SetTrue).help("Also delete the data");
    let verbose = Arg::new("verbose").short('v').long("verbose").action(ArgAction::SetTrue);
    clap::Command::new("down")
        .about("Stop the cluster and remove everything that `up` made")
        .arg(super::data_dir())
        .arg(purge)
        .arg(verbose.help("List each thing that is removed"))
}

fn run(matches: &ArgMatches) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("`down` removes links, mounts and cgroups: run it as root");
    }
    let dirs = super::dirs(matches)?;
    preflight::cgroups()?;
    let mut removed = stop(&dirs)?;
    removed.extend(runtime::teardown(&dirs.runtime())?);
    removed.extend(unmount_below(&dirs)?);
    removed.extend(kubelet::log::places::remove_all(&dirs.kubelet()).context("remove the logs of pods")?);
    removed.extend(network(&dirs)?);
    match home::take_out(&dirs) {
        Ok(taken) => removed.extend(taken),
        // Whoever uses that file sees what is left in it.
        Err(error) => out::error(format_args!("{error:#}")),
    }
    match matches.get_flag("purge") {
        true => removed.extend(remove(&dirs.data)?),
        false => dirs.release()?,
    }
    tell(&dirs, &removed, matches.get_flag("verbose"));
    Ok(())
}

fn tell(dirs: &Dirs, removed: &[String], is_verbose: bool) {
    let data = dirs.data.display();
    match (removed.is_empty(), is_verbose) {
        (true, _) => out::line(format_args!("Nothing to do: there is no cluster in {data}.")),
        (false, true) => removed.iter().for_each(|what| out::line(format_args!("removed {what}"))),
        (false, false) => out::line(format_args!("removed {} of the cluster in {data} (-v lists them)", sum(removed))),
    }
    if !removed.is_empty() && dirs.data.exists() {
        out::line(format_args!("its data stays in {data}: `{} --purge` deletes it", dirs.command("down")));
    }
}

/// How many of which sort, in the order in which the first of each went.
fn sum(removed: &[String]) -> String {
    let mut counts: Vec<(&Sort, usize)> = Vec::new();
    for what in removed {
        let Some(sort) = SORTS.iter().find(|(one, _)| what.strip_prefix(one).is_some_and(|rest| rest.starts_with(' '))) else {
            continue;
        };
        match counts.iter_mut().find(|(known, _)| *known == sort) {
            Some((_, count)) => *count += 1,
            None => counts.push((sort, 1)),
        }
    }
    let words = |((one, more), count): (&Sort, usize)| format!("{count} {}", if count == 1 { one } else { more });
    counts.into_iter().map(words).collect::<Vec<_>>().join(", ")
}

/// What the network left on the machine, but for what another cluster has or needs; and with it what tells others of
/// this one.
fn network(dirs: &Dirs) -> Result<Vec<String>> {
    let _machine = clusters::machine()?;
    let others = clusters::beside(dirs);
    let theirs: Vec<Ipv4Net> = others.iter().flat_map(Cluster::ranges).collect();
    let settings = dirs.settings();
    let ranges = settings.map_or(DEFAULT_RANGES, |settings| [settings.pod_network, settings.service_network]);
    let ranges: Vec<Ipv4Net> = ranges.into_iter().filter(|range| !theirs.contains(range)).collect();
    let mut removed = Vec::new();
    // What all clusters were called once may be another's.
    if !others.iter().any(|other| other.settings.names == dirs.names) {
        removed.extend(network::services::teardown(&dirs.names)?);
        let heir = others.first().map(|other| dirs::network(&other.run));
        let (names, directory) = (&dirs.names, &dirs.network());
        let remains = Remains { names, ranges: &ranges, directory, heir: heir.as_deref() };
        removed.extend(super::block_on(network::bridge::teardown(&remains))??);
    }
    removed.extend(remove(&dirs.run)?);
    Ok(removed)
}

/// Ends the process that runs the cluster, and before it the one that would start it again, and waits for both.
fn stop(dirs: &Dirs) -> Result<Vec<String>> {
    let (supervisor, program) = (supervise::running(dirs), running(dirs)?);
    let (end, mut killed) = (Instant::now() + PATIENCE, Vec::new());
    // The supervisor passes it on.
    if let Some(pid) = supervisor.or(program) {
        signal(pid, Signal::SIGTERM)?;
    }
    while supervise::running(dirs).is_some() || running(dirs)?.is_some() {
        if Instant::now() > end {
            for pid in supervise::running(dirs).into_iter().chain(running(dirs)?) {
                if !killed.contains(&pid) {
                    out::error(format_args!("process {pid} has not ended within {} s, and is killed", PATIENCE.as_secs()));
                    killed.push(pid);
                }
                signal(pid, Signal::SIGKILL)?;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(program.into_iter().chain(supervisor).map(|pid| format!("process {pid}")).collect())
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    match kill(Pid::from_raw(i32::try_from(pid)?), signal) {
        // It has ended by itself.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(e) => Err(e).with_context(|| format!("end process {pid}")),
    }
}

/// Volumes in memory and the like, below the data directory.
fn unmount_below(dirs: &Dirs) -> Result<Vec<String>> {
    let table = fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
    let below = |path: &str| [&dirs.data, &dirs.run].iter().any(|d| path.starts_with(&format!("{}/", d.display())));
    let mut removed = Vec::new();
    // The newest first: mounts may lie in mounts.
    for path in table.lines().rev().filter_map(|line| line.split(' ').nth(1)).filter(|p| below(p)) {
        nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH).with_context(|| format!("unmount {path}"))?;
        removed.push(format!("mount {path}"));
    }
    Ok(removed)
}

fn remove(directory: &std::path::Path) -> Result<Option<String>> {
    match fs::remove_dir_all(directory) {
        Ok(()) => Ok(Some(format!("directory {}", directory.display()))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("remove {}", directory.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_summed_up() {
        let removed = ["process 7", "process 8", "pod directory x", "pod y", "setting a/b (back to 0)", "nftables table ip t",
            "link to a log l", "link m"];
        let removed = removed.map(str::to_owned);
        let words = "2 processes, 1 pod directory, 1 pod, 1 setting, 1 nftables table, 1 link to a log, 1 link";
        assert_eq!(sum(&removed), words);
    }
}
