//! `ironclad up`: a working cluster on this machine.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use ipnet::Ipv4Net;
use kubelet::image::provider::Providers;

use super::Command;
use crate::home;
use crate::up::{self, Options};

/// Ports that Services get where nothing else is said.
pub(super) const DEFAULT_NODE_PORTS: RangeInclusive<u16> = 30000..=32767;

pub(super) const COMMAND: Command = Command { definition, run };

fn definition() -> clap::Command {
    let flag = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    clap::Command::new("up")
        .about("Bring a cluster up on this machine, and keep it running until Ctrl-C")
        .arg(super::data_dir())
        .arg(
            flag("pod-network-cidr", "CIDR", "Range of pod addresses")
                .default_value("10.244.0.0/16")
                .value_parser(value_parser!(Ipv4Net)),
        )
        .arg(
            flag("service-cidr", "CIDR", "Range of service addresses")
                .default_value("10.96.0.0/12")
                .value_parser(value_parser!(Ipv4Net)),
        )
        .arg(
            flag("service-node-port-range", "FIRST-LAST", "Ports of the node that Services may get")
                .default_value("30000-32767")
                .value_parser(node_ports),
        )
        .arg(
            flag("apiserver-advertise-address", "IP", "Address under which others reach the API server [default: found]")
                .value_parser(value_parser!(IpAddr)),
        )
        .arg(
            flag("apiserver-bind-port", "PORT", "Port of the API server")
                .default_value("6443")
                .value_parser(value_parser!(u16).range(1..)),
        )
        .arg(
            flag("node-name", "NAME", "Name of this node, and its label kubernetes.io/hostname, in lower case [default: the host name]")
                .visible_alias("hostname-override"),
        )
        .arg(
            flag("kubelet-port", "PORT", "Port of the node agent")
                .default_value("10250")
                .value_parser(value_parser!(u16).range(1..)),
        )
        .arg(
            flag("image-gc-high-threshold", "PERCENT", "Use of the disk from which on unused images are removed")
                .default_value("85")
                .value_parser(value_parser!(u8).range(0..=100)),
        )
        .arg(
            flag("image-gc-low-threshold", "PERCENT", "Use of the disk until which they are")
                .default_value("80")
                .value_parser(value_parser!(u8).range(0..=100)),
        )
        .arg(
            flag("image-credential-provider-config", "PATH", "A CredentialProviderConfig, or a directory of them")
                .value_parser(value_parser!(PathBuf))
                .requires("image-credential-provider-bin-dir"),
        )
        .arg(
            flag("image-credential-provider-bin-dir", "DIR", "Where the programs are that it names")
                .value_parser(value_parser!(PathBuf))
                .requires("image-credential-provider-config"),
        )
        .arg(
            flag("pod-max-pids", "COUNT", "Processes and threads of one pod at most; -1: as many as all pods together")
                .default_value("-1")
                .allow_negative_numbers(true)
                .value_parser(pids),
        )
        .arg(
            flag("runtime-handlers", "NAMES", "What RuntimeClasses may call the runtime beside `ironclad`: for example runc")
                .value_delimiter(',')
                .value_parser(handler),
        )
        .arg(
            flag("static-pod-path", "PATH", "A directory of files with a Pod each, or one such file: they run, API server or not")
                .value_parser(value_parser!(PathBuf)),
        )
        .args(super::eviction::flags())
        .arg(super::admission::flag())
        .args(super::logs::flags())
        .arg(
            flag("write-kubeconfig-mode", "MODE", "Rights of admin.conf")
                .default_value("600")
                .value_parser(mode),
        )
        .arg(switch("no-kubeconfig", "Leave ~/.kube/config alone; without it the cluster gets a context there"))
        .arg(switch("detach", "Return when the node is Ready; `ironclad down` ends the cluster"))
        .arg(switch("demo", "Also deploy three replicas of a small HTTP server, and print its URL"))
}

/// `FIRST-LAST` or, as upstream has it, too, `FIRST+MORE`.
pub(super) fn node_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || "ports as in 30000-32767".to_owned();
    let number = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
    let (first, last) = match (text.split_once('-'), text.split_once('+')) {
        (Some((first, last)), _) => (number(first)?, number(last)?),
        (None, Some((first, more))) => (number(first)?, number(first)?.checked_add(number(more)?).ok_or_else(wrong)?),
        (None, None) => (number(text)?, number(text)?),
    };
    if first == 0 || last < first { Err(wrong()) } else { Ok(first..=last) }
}

/// Upstream: `podPidsLimit`, which a node under Linux takes as it is, where it is above 0.
fn pids(text: &str) -> Result<i64, String> {
    let most = text.parse::<i64>().ok().filter(|most| *most == -1 || *most > 0);
    most.ok_or_else(|| "a number of processes, or -1".to_owned())
}

/// The name of a handler, as a RuntimeClass may have it (upstream: `ValidateRuntimeClass`).
fn handler(text: &str) -> Result<String, String> {
    let wrong = meta::text::dns1123_label(text, false);
    if wrong.is_empty() { Ok(text.to_owned()) } else { Err(wrong.join(", ")) }
}

/// Rights in octal.
fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    let mode = mode.ok_or_else(|| "rights in octal, as in 640".to_owned())?;
    if mode & 0o600 == 0o600 { Ok(mode) } else { Err("its owner must read and write it".to_owned()) }
}

fn run(matches: &ArgMatches) -> Result<()> {
    let network = |name: &str| matches.get_one::<Ipv4Net>(name).copied().map(|n| n.trunc());
    let port = |name: &str, default| matches.get_one::<u16>(name).copied().unwrap_or(default);
    let percent = |name: &str, default| matches.get_one::<u8>(name).copied().unwrap_or(default);
    let (Some(pod_network), Some(service_network)) = (network("pod-network-cidr"), network("service-cidr")) else {
        bail!("the pod and service networks are needed");
    };
    let options = Options {
        dirs: super::dirs(matches)?,
        pod_network,
        service_network,
        advertise: matches.get_one::<IpAddr>("apiserver-advertise-address").copied(),
        port: port("apiserver-bind-port", 6443),
        node_ports: matches.get_one("service-node-port-range").cloned().unwrap_or(DEFAULT_NODE_PORTS),
        kubelet_port: port("kubelet-port", 10250),
        node_name: matches.get_one::<String>("node-name").cloned(),
        kubeconfig_mode: matches.get_one("write-kubeconfig-mode").copied().unwrap_or(0o600),
        home: if matches.get_flag("no-kubeconfig") { None } else { home::file() },
        demo: matches.get_flag("demo"),
        image_gc: kubelet::image::gc::Policy {
            high: percent("image-gc-high-threshold", 85),
            low: percent("image-gc-low-threshold", 80),
            ..Default::default()
        },
        pressure: super::eviction::policy(matches)?,
        pod_pids: matches.get_one::<i64>("pod-max-pids").copied().filter(|most| *most > 0),
        handlers: matches.get_many("runtime-handlers").into_iter().flatten().cloned().collect(),
        static_pods: absolute(matches, "static-pod-path")?,
        pod_logs: super::logs::directory(matches)?,
        log_rotation: super::logs::rotation(matches)?,
        credential_providers: providers(matches)?,
        pod_security: super::admission::pod_security(matches)?,
    };
    if let Err(why) = options.image_gc.check() {
        bail!("{why}");
    }
    if matches.get_flag("detach") { up::detached(&options) } else { up::foreground(options) }
}

/// A path that means the same wherever what runs in the background begins.
fn absolute(matches: &ArgMatches, name: &str) -> Result<Option<PathBuf>> {
    match matches.get_one::<PathBuf>(name) {
        Some(path) if path.is_relative() => bail!("--{name}: {} is no absolute path", path.display()),
        path => Ok(path.cloned()),
    }
}

/// The programs that know credentials: a mistake is told before anything is started.
fn providers(matches: &ArgMatches) -> Result<Providers> {
    let path = |name: &str| matches.get_one::<PathBuf>(name);
    match (path("image-credential-provider-config"), path("image-credential-provider-bin-dir")) {
        (Some(config), Some(programs)) => {
            // What runs in the background begins elsewhere.
            if let Some(path) = [config, programs].into_iter().find(|path| path.is_relative()) {
                bail!("{} is no absolute path", path.display());
            }
            Providers::load(config, programs).map_err(anyhow::Error::msg)
        }
        _ => Ok(Providers::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_octal_and_leave_the_owner_his() {
        for (text, rights) in [("600", 0o600), ("0644", 0o644), ("640", 0o640)] {
            assert_eq!(mode(text), Ok(rights));
        }
        assert!(["", "9", "rw", "444", "1777", "-644"].iter().all(|text| mode(text).is_err()));
    }

    #[test]
    fn processes_of_a_pod_are_some_or_as_many_as_there_are() {
        assert_eq!((pids("100"), pids("-1")), (Ok(100), Ok(-1)));
        assert!(["0", "-2", "", "many"].iter().all(|text| pids(text).is_err()));
    }

    #[test]
    fn ranges_of_ports_are_written_as_upstream_writes_them() {
        for (text, range) in [("30000-32767", 30000..=32767), ("20000+99", 20000..=20099), ("31000", 31000..=31000)] {
            assert_eq!(node_ports(text), Ok(range), "{text}");
        }
        for text in ["", "a-b", "0-10", "2-1", "1-65536", "65535+1", "-", "1-2-3"] {
            assert!(node_ports(text).is_err(), "{text}");
        }
    }
}
