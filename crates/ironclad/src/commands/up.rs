//! `ironclad up`: a working cluster on this machine.

use std::net::IpAddr;

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use ipnet::Ipv4Net;

use super::Command;
use crate::up::{self, Options};

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
            flag("apiserver-advertise-address", "IP", "Address under which others reach the API server [default: found]")
                .value_parser(value_parser!(IpAddr)),
        )
        .arg(
            flag("apiserver-bind-port", "PORT", "Port of the API server")
                .default_value("6443")
                .value_parser(value_parser!(u16).range(1..)),
        )
        .arg(flag("node-name", "NAME", "Name of this node [default: the host name]"))
        .arg(
            flag("kubelet-port", "PORT", "Port of the node agent")
                .default_value("10250")
                .value_parser(value_parser!(u16).range(1..)),
        )
        .arg(switch("detach", "Return when the node is Ready; `ironclad down` ends the cluster"))
        .arg(switch("demo", "Also deploy three replicas of a small HTTP server, and print its URL"))
}

fn run(matches: &ArgMatches) -> Result<()> {
    let network = |name: &str| matches.get_one::<Ipv4Net>(name).copied().map(|n| n.trunc());
    let port = |name: &str, default| matches.get_one::<u16>(name).copied().unwrap_or(default);
    let (Some(pod_network), Some(service_network)) = (network("pod-network-cidr"), network("service-cidr")) else {
        bail!("the pod and service networks are needed");
    };
    let options = Options {
        dirs: super::dirs(matches),
        pod_network,
        service_network,
        advertise: matches.get_one::<IpAddr>("apiserver-advertise-address").copied(),
        port: port("apiserver-bind-port", 6443),
        kubelet_port: port("kubelet-port", 10250),
        node_name: matches.get_one::<String>("node-name").cloned(),
        demo: matches.get_flag("demo"),
    };
    if matches.get_flag("detach") { up::detached(&options) } else { up::foreground(options) }
}
