//! `ironclad down`: the machine as it was before `up`.

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgAction, ArgMatches};
use ipnet::Ipv4Net;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Command;
use crate::dirs::{Dirs, Settings};
use crate::out;
use crate::up::{running, supervise};

pub(super) const COMMAND: Command = Command { definition, run };

/// How long the running cluster may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

fn definition() -> clap::Command {
    let purge = Arg::new("purge").long("purge").action(ArgAction::SetTrue).help("Also delete the data");
    clap::Command::new("down")
        .about("Stop the cluster and remove everything that `up` made")
        .arg(super::data_dir())
        .arg(purge)
}

fn run(matches: &ArgMatches) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("`down` removes links, mounts and cgroups: run it as root");
    }
    let dirs = super::dirs(matches);
    let mut removed = stop(&dirs)?;
    let found = dirs.settings();
    let defaults = Settings {
        pid: 0,
        supervisor: None,
        ready: true,
        pod_network: Ipv4Net::new_assert([10, 244, 0, 0].into(), 16),
        service_network: Ipv4Net::new_assert([10, 96, 0, 0].into(), 12),
    };
    let settings = found.unwrap_or(defaults);
    removed.extend(runtime::teardown(&dirs.runtime())?);
    removed.extend(unmount_below(&dirs)?);
    removed.extend(network::services::teardown()?);
    let addresses = dirs.network();
    let links = network::bridge::teardown(settings.pod_network, settings.service_network, &addresses);
    removed.extend(super::block_on(links)??);
    removed.extend(remove(&dirs.run)?);
    if matches.get_flag("purge") {
        removed.extend(remove(&dirs.data)?);
    }
    match removed.len() {
        0 => out::line(format_args!("Nothing to do: there is no cluster in {}.", dirs.data.display())),
        _ => removed.iter().for_each(|what| out::line(format_args!("removed {what}"))),
    }
    Ok(())
}

/// Ends the process that runs the cluster, and before it the one that would start it again, and waits for both.
fn stop(dirs: &Dirs) -> Result<Vec<String>> {
    let (supervisor, program) = (supervise::running(dirs), running(dirs)?);
    let end = Instant::now() + PATIENCE;
    // The supervisor passes it on.
    if let Some(pid) = supervisor.or(program) {
        signal(pid, Signal::SIGTERM)?;
    }
    while supervise::running(dirs).is_some() || running(dirs)?.is_some() {
        if Instant::now() > end {
            let left = supervise::running(dirs).into_iter().chain(running(dirs)?);
            left.into_iter().try_for_each(|pid| signal(pid, Signal::SIGKILL))?;
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
