//! `ironclad apiserver`: the API alone, with upstream's flags. Under the name `kube-apiserver` it is what envtest starts.

mod flags;

pub(super) use flags::boolean;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use auth::authz::Mode;
use clap::ArgMatches;
use http::Uri;
use ipnet::Ipv4Net;
use server::Limits;

use super::Command;
use crate::apiserver::serve::{self, Options};
use crate::apiserver::serving::Source;
use crate::apiserver::{features, plugins, runtime_config};

pub(super) const COMMAND: Command = Command { definition: flags::definition, run };
/// The same under upstream's name, which wants a store to be named.
pub(super) const KUBE_APISERVER: Command = Command { definition: flags::upstream, run: run_as_upstream };

fn run_as_upstream(matches: &ArgMatches) -> Result<()> {
    let is_named = matches.contains_id("etcd-servers") || matches.contains_id("data-dir");
    ensure!(is_named, "--etcd-servers must be specified");
    run(matches)
}

fn run(matches: &ArgMatches) -> Result<()> {
    serve::foreground(options(matches)?)
}

fn options(matches: &ArgMatches) -> Result<Options> {
    features::check(&texts(matches, "feature-gates"))?;
    if !flag(matches, "allow-privileged", true) {
        bail!("--allow-privileged=false: this program cannot forbid privileged containers by it; Pod Security can");
    }
    let authorization = modes(&texts(matches, "authorization-mode"))?;
    // Upstream: nobody is let in as nobody where everybody may do everything.
    let anonymous = flag(matches, "anonymous-auth", true) && !authorization.contains(&Mode::AlwaysAllow);
    let ours = plugins::Selection::names();
    let (enable, disable) = (texts(matches, "enable-admission-plugins"), texts(matches, "disable-admission-plugins"));
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let certificate = Source {
        files: path("tls-cert-file").zip(path("tls-private-key-file")),
        directory: path("cert-dir").filter(|directory| !directory.as_os_str().is_empty()),
    };
    Ok(Options {
        data: path("data-dir"),
        stores: matches.get_many::<Uri>("etcd-servers").into_iter().flatten().cloned().collect(),
        bind: matches.get_one("bind-address").copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        port: matches.get_one("secure-port").copied().unwrap_or(6443),
        advertise: matches.get_one("advertise-address").copied(),
        certificate,
        client_ca: path("client-ca-file"),
        token_file: path("token-auth-file"),
        anonymous,
        authorization,
        plugins: plugins::Selection::read(&enable, &disable, &ours)?,
        pod_security: super::admission::pod_security(matches)?,
        kinds: runtime_config::select(kinds::all(), &texts(matches, "runtime-config"))?,
        issuers: issuers(texts(matches, "service-account-issuer"))?,
        audiences: texts(matches, "api-audiences"),
        signing_key: path("service-account-signing-key-file"),
        keys: matches.get_many::<PathBuf>("service-account-key-file").into_iter().flatten().cloned().collect(),
        service_network: services(matches)?,
        node_ports: matches.get_one("service-node-port-range").cloned().unwrap_or(super::up::DEFAULT_NODE_PORTS),
        limits: limits(matches)?,
        kubeconfig: path("write-kubeconfig"),
        log: match matches.get_one::<u8>("v").copied().unwrap_or(0) {
            0 | 1 => "warn",
            2 | 3 => "info",
            4..=9 => "debug",
            _ => "trace",
        },
    })
}

fn texts(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).into_iter().flatten().filter(|text| !text.is_empty()).cloned().collect()
}

fn flag(matches: &ArgMatches, name: &str, default: bool) -> bool {
    matches.get_one::<bool>(name).copied().unwrap_or(default)
}

/// The modes of `--authorization-mode`: RBAC alone where nothing is said.
fn modes(names: &[String]) -> Result<Vec<Mode>> {
    if names.is_empty() {
        return Ok(vec![Mode::Rbac]);
    }
    let mut modes = Vec::new();
    for name in names {
        let mode = match name.as_str() {
            "AlwaysAllow" => Mode::AlwaysAllow,
            "AlwaysDeny" => Mode::AlwaysDeny,
            "Node" => Mode::Node,
            "RBAC" => Mode::Rbac,
            "ABAC" => bail!("authorization-mode ABAC's authorization policy file not passed: this program reads none"),
            "Webhook" => bail!("authorization-mode Webhook's authorization config file not passed: this program reads none"),
            _ => bail!("authorization-mode {name:?} is not a valid mode"),
        };
        ensure!(!modes.contains(&mode), "authorization-mode [{}] has mode specified more than once", names.join(" "));
        modes.push(mode);
    }
    Ok(modes)
}

fn issuers(issuers: Vec<String>) -> Result<Vec<String>> {
    for (at, issuer) in issuers.iter().enumerate() {
        let is_url = !issuer.contains(':') || issuer.parse::<Uri>().is_ok_and(|url| url.scheme().is_some());
        ensure!(is_url, "service-account-issuer {issuer:?} contained a ':' but was not a valid URL");
        ensure!(!issuers[..at].contains(issuer), "service-account-issuer {issuer:?} is already specified");
    }
    Ok(issuers)
}

fn services(matches: &ArgMatches) -> Result<Ipv4Net> {
    let network = matches.get_one::<Ipv4Net>("service-cluster-ip-range").copied();
    let network = network.unwrap_or(Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 24)).trunc();
    // Upstream: the range must have room for eight addresses, and no more than can be kept.
    ensure!(network.prefix_len() >= 12, "specified --service-cluster-ip-range is too large; for 32-bit addresses, the mask must be >= 12");
    ensure!(network.prefix_len() <= 29, "the service cluster IP range must be at least 8 IP addresses");
    Ok(network)
}

/// As upstream adds them up: with either at 0 there would be none at all.
fn limits(matches: &ArgMatches) -> Result<Limits> {
    let of = |name: &str, default: u32| matches.get_one::<u32>(name).copied().unwrap_or(default);
    let seats = of("max-requests-inflight", 400).saturating_add(of("max-mutating-requests-inflight", 200));
    ensure!(seats > 0, "--max-requests-inflight and --max-mutating-requests-inflight must not both be 0");
    Ok(Limits { seats })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let given = std::iter::once("kube-apiserver").chain(arguments.iter().copied());
        let matches = flags::upstream().try_get_matches_from(given).map_err(|e| e.kind().to_string())?;
        options(&matches).map_err(|e| e.to_string())
    }

    /// What envtest of controller-runtime v0.24.1 passes.
    #[test]
    fn envtests_flags_are_taken() {
        let options = parse(&[
            "--allow-privileged=true", "--authorization-mode=RBAC", "--bind-address=127.0.0.1", "--cert-dir=/tmp/c",
            "--client-ca-file=/tmp/c/client-cert-auth-ca.crt", "--disable-admission-plugins=ServiceAccount",
            "--etcd-servers=http://127.0.0.1:2379", "--secure-port=34567", "--service-account-issuer=https://127.0.0.1:34567/",
            "--service-account-key-file=/tmp/c/sa-signer.crt", "--service-account-signing-key-file=/tmp/c/sa-signer.key",
            "--service-cluster-ip-range=10.0.0.0/24",
        ]);
        let options = options.expect("taken");
        assert_eq!((options.port, options.authorization), (34567, vec![Mode::Rbac]));
        assert_eq!(options.stores.len(), 1);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (argument, why) in [
            ("--authorization-mode=None", "authorization-mode \"None\" is not a valid mode"),
            ("--authorization-mode=RBAC,RBAC", "authorization-mode [RBAC RBAC] has mode specified more than once"),
            ("--service-account-issuer=a:b c", "service-account-issuer \"a:b c\" contained a ':' but was not a valid URL"),
            ("--service-cluster-ip-range=10.0.0.0/8", "specified --service-cluster-ip-range is too large; for 32-bit addresses, the mask must be >= 12"),
            ("--feature-gates=Nothing=true", "unrecognized feature gate: Nothing"),
            ("--insecure-port=0", "unexpected argument found"),
            ("--secure-port=0", "invalid value for one of the arguments"),
        ] {
            assert_eq!(parse(&[argument]).err().as_deref(), Some(why), "{argument}");
        }
        assert!(parse(&["--allow-privileged=false"]).is_err());
    }

    /// envtest asks the help for this flag, and passes it to whoever has it.
    #[test]
    fn no_insecure_port_is_spoken_of() {
        for definition in [flags::upstream, flags::definition] {
            assert!(!definition().render_long_help().to_string().contains("insecure-port"));
        }
    }

    #[test]
    fn anonymous_is_nobody_where_everybody_may() {
        assert!(!parse(&["--authorization-mode=AlwaysAllow"]).expect("taken").anonymous);
        assert!(parse(&[]).expect("taken").anonymous);
        assert!(!parse(&["--anonymous-auth=false"]).expect("taken").anonymous);
    }
}
