//! `ironclad controllers`: the controllers alone, against an API server that a kubeconfig names.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, value_parser};
use controllers::Config;
use tasks::Tasks;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Command;
use crate::{out, up};

pub(super) const COMMAND: Command = Command { definition, run };

fn definition() -> clap::Command {
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    clap::Command::new("controllers")
        .about("Run the controllers alone, against an API server that runs elsewhere (`ironclad apiserver`)")
        .arg(file("kubeconfig", "Where the API server is, and who the controllers are there: all act as its user").required(true))
        .arg(file("root-ca-file", "Certificates that pods are to trust (ConfigMap kube-root-ca.crt) [default: the kubeconfig's authority]"))
}

fn run(matches: &ArgMatches) -> Result<()> {
    let Some(kubeconfig) = matches.get_one::<PathBuf>("kubeconfig") else { anyhow::bail!("--kubeconfig is missing") };
    let root_ca = matches.get_one::<PathBuf>("root-ca-file").map(|path| certificates(path)).transpose()?;
    up::trim::small_pages();
    up::trim::give_back_when_idle();
    let log = up::log_to(None, "warn")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let result = runtime.block_on(serve(kubeconfig, root_ca));
    // What still blocks a thread must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    log.flush();
    result
}

/// Certificates in PEM, which are published as they are.
fn certificates(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    auth::pki::tls::certificates(&text).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
    Ok(text)
}

/// Runs them until the process is told to end.
async fn serve(path: &Path, root_ca: Option<String>) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (client, authority) = client::connect::with_authority(path).await?;
    let version = client.apiserver_version().await.context("ask the API server for its version")?;
    let tasks = Tasks::new(CancellationToken::new());
    controllers::run(|_| client.clone(), &Config { root_ca: root_ca.unwrap_or(authority), server: None }, &tasks);
    out::line(format_args!("the controllers run, against Kubernetes {}", version.git_version));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tasks.stop().cancel();
    tasks.ended().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_published() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ca.crt");
        std::fs::write(&path, "none").expect("written");
        let why = certificates(&path).expect_err("refused").to_string();
        assert!(why.ends_with("data does not contain any valid RSA or ECDSA certificates"), "{why}");
        let pki = auth::pki::Pki::in_memory(jiff::Timestamp::now()).expect("keys");
        std::fs::write(&path, pki.cluster().certificate_pem()).expect("written");
        assert_eq!(certificates(&path).expect("taken"), pki.cluster().certificate_pem());
    }

    /// Who the server is known by comes out of the kubeconfig as it went in.
    #[tokio::test]
    async fn the_authority_is_that_of_the_kubeconfig() {
        let directory = tempfile::tempdir().expect("a directory");
        let pki = auth::pki::Pki::in_memory(jiff::Timestamp::now()).expect("keys");
        let (text, _) = pki.kubeconfig("https://192.0.2.1:6443", &auth::pki::Leaf::admin(), jiff::Timestamp::now()).expect("made");
        let path = directory.path().join("admin.conf");
        std::fs::write(&path, text).expect("written");
        let (_, authority) = client::connect::with_authority(&path).await.expect("a client");
        let read = |pem: &str| auth::pki::tls::certificates(pem).expect("certificates");
        assert_eq!(read(&authority), read(pki.cluster().certificate_pem()));
    }
}
