//! The flags: upstream's names and meanings, as far as they act here.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, value_parser};
use ipnet::Ipv4Net;

use crate::apiserver::{features, stand_in};

/// As a command of this program.
pub(super) fn definition() -> clap::Command {
    let about = "Serve the Kubernetes API alone, without controllers and node: in memory, or in a directory";
    clap::Command::new("apiserver").about(about).args(all())
}

/// Under upstream's name.
pub(super) fn upstream() -> clap::Command {
    let about = "The Kubernetes API server of Ironclad, which keeps its objects itself";
    clap::Command::new("kube-apiserver").about(about).version(crate::commands::KUBERNETES).args(all())
}

fn all() -> Vec<Arg> {
    [storage(), serving(), authentication(), authorization(), what_is_served(), services(), others()].concat()
}

fn flag(name: &'static str, value: &'static str, help: &'static str, parser: impl Into<ValueParser>) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help).value_parser(parser.into())
}

/// One that may be given several times, and takes several values at once.
fn list(name: &'static str, value: &'static str, help: &'static str, parser: impl Into<ValueParser>) -> Arg {
    flag(name, value, help, parser).action(ArgAction::Append).value_delimiter(',')
}

/// As Go's flags take it: alone it means yes.
pub(in crate::commands) fn boolean(name: &'static str, help: &'static str) -> Arg {
    let parser = |text: &str| features::boolean(text).ok_or("true or false");
    let flag = flag(name, "true|false", help, ValueParser::new(parser));
    flag.num_args(0..=1).require_equals(true).default_missing_value("true")
}

fn path() -> ValueParser {
    value_parser!(PathBuf).into()
}

fn storage() -> Vec<Arg> {
    vec![
        flag("data-dir", "DIR", "Keep objects and keys in this directory [default: in memory]", path())
            .conflicts_with("etcd-servers"),
        list("etcd-servers", "URL", "The stand-in that envtest starts as etcd, which means: in memory. A real etcd is refused", ValueParser::new(stand_in::url)),
    ]
}

fn serving() -> Vec<Arg> {
    vec![
        flag("bind-address", "IP", "The address to listen at [default: all of IPv4]", value_parser!(IpAddr)),
        flag("secure-port", "PORT", "The port to listen at [default: 6443]", value_parser!(u16).range(1..)),
        flag("advertise-address", "IP", "Address under which others reach the API server [default: found]", value_parser!(IpAddr)),
        flag("cert-dir", "DIR", "Where apiserver.crt and apiserver.key are, or are written to [default: in memory]", path()),
        flag("tls-cert-file", "PATH", "The server's certificate, and those that signed it", path()).requires("tls-private-key-file"),
        flag("tls-private-key-file", "PATH", "Its private key", path()).requires("tls-cert-file"),
        flag("write-kubeconfig", "PATH", "Write a kubeconfig of an administrator, good for a year", path()).conflicts_with("client-ca-file"),
    ]
}

fn authentication() -> Vec<Arg> {
    vec![
        flag("client-ca-file", "PATH", "Authorities whose certificates say who a client is [default: one of its own]", path()),
        flag("token-auth-file", "PATH", "A file of token,user,uid,\"group,group\" lines", path()),
        boolean("anonymous-auth", "Whether who shows no credentials is let in, as system:anonymous [default: true]"),
        list("service-account-issuer", "URL", "Who tokens of service accounts are from; further ones are accepted", value_parser!(String)),
        flag("service-account-signing-key-file", "PATH", "The private key that signs them [default: one of its own]", path())
            .requires("service-account-key-file"),
        Arg::new("service-account-key-file").long("service-account-key-file").value_name("PATH").action(ArgAction::Append)
            .help("Keys or certificates that verify them").value_parser(path()).requires("service-account-signing-key-file"),
        list("api-audiences", "AUDIENCE", "What tokens for the API server are for [default: its issuer]", value_parser!(String)),
    ]
}

fn authorization() -> Vec<Arg> {
    vec![list("authorization-mode", "MODE", "In this order: AlwaysAllow, AlwaysDeny, Node, RBAC [default: RBAC]", value_parser!(String))]
}

fn what_is_served() -> Vec<Arg> {
    vec![
        list("enable-admission-plugins", "NAME", "Admission plug-ins to run beside upstream's default ones", value_parser!(String)),
        list("disable-admission-plugins", "NAME", "Admission plug-ins not to run", value_parser!(String)),
        crate::commands::admission::flag(),
        list("runtime-config", "KEY=BOOL", "What is served: api/all, api/ga, api/beta, api/alpha, GROUP/VERSION, GROUP/VERSION/RESOURCE", value_parser!(String)),
        list("feature-gates", "NAME=BOOL", "Upstream's feature gates; none can be set to other than its default", value_parser!(String)),
        boolean("allow-privileged", "Privileged containers are allowed, and cannot be forbidden by this"),
    ]
}

fn services() -> Vec<Arg> {
    vec![
        flag("service-cluster-ip-range", "CIDR", "Range of service addresses [default: 10.0.0.0/24]", value_parser!(Ipv4Net)),
        flag("service-node-port-range", "FIRST-LAST", "Ports that Services may get [default: 30000-32767]", ValueParser::new(crate::commands::up::node_ports)),
    ]
}

fn others() -> Vec<Arg> {
    vec![
        flag("max-requests-inflight", "COUNT", "Together with the next: requests at once [default: 400]", value_parser!(u32)),
        flag("max-mutating-requests-inflight", "COUNT", "See --max-requests-inflight [default: 200]", value_parser!(u32)),
        flag("v", "LEVEL", "How much is logged: 2 for what happens, 4 for details [default: 0]", value_parser!(u8)).short('v'),
    ]
}
