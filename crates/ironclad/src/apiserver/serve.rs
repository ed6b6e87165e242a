//! The API alone: no controllers, no scheduler, no node.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use auth::authn::StaticTokens;
use auth::authz::Mode;
use auth::identity;
use auth::pki::{Leaf, Pki, kubeconfig, tls, write_private};
use auth::token::Tokens;
use client::Hub;
use controllers::Server;
use controllers::workers::{Context as Work, WORKERS};
use http::Uri;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use kinds::Descriptor;
use server::Limits;
use store::{Disk, Memory, Store};
use tasks::Tasks;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::serving::{Pair, Source, text};
use super::{Api, ISSUER, Plan, bootstrap, plugins, stand_in};
use crate::up::marker;
use crate::{out, up};

/// What the command line says.
pub struct Options {
    /// Where objects are kept; in memory where nothing is said.
    pub data: Option<PathBuf>,
    /// Stand-ins for etcd, which say that everything is to be in memory.
    pub stores: Vec<Uri>,
    /// The address that is listened at.
    pub bind: IpAddr,
    /// Its port.
    pub port: u16,
    /// The address that others are told of, if it is not to be found.
    pub advertise: Option<IpAddr>,
    /// The server's certificate.
    pub certificate: Source,
    /// Authorities of clients, a PEM file.
    pub client_ca: Option<PathBuf>,
    /// A file of tokens.
    pub token_file: Option<PathBuf>,
    /// Whether who shows no credentials is let in.
    pub anonymous: bool,
    /// Who decides.
    pub authorization: Vec<Mode>,
    /// Which plug-ins run.
    pub plugins: plugins::Selection,
    /// What PodSecurity does by default.
    pub pod_security: admission::plugins::pod_security::config::Config,
    /// What is served.
    pub kinds: Vec<Descriptor>,
    /// Issuers of service accounts' tokens; the first is written into them.
    pub issuers: Vec<String>,
    /// Audiences of the API server, if they are not its issuers.
    pub audiences: Vec<String>,
    /// The private key that signs tokens; one of its own where nothing is said.
    pub signing_key: Option<PathBuf>,
    /// Keys whose tokens are accepted, if not the one that signs.
    pub keys: Vec<PathBuf>,
    /// Range of service addresses.
    pub service_network: Ipv4Net,
    /// Ports that Services may get.
    pub node_ports: RangeInclusive<u16>,
    /// Requests at once.
    pub limits: Limits,
    /// Where an administrator's kubeconfig is written.
    pub kubeconfig: Option<PathBuf>,
    /// What is logged, in `tracing`'s words.
    pub log: &'static str,
}

/// Serves until it is interrupted.
pub fn foreground(options: Options) -> Result<()> {
    up::trim::small_pages();
    up::trim::give_back_when_idle();
    let log = up::log_to(None, options.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let result = runtime.block_on(run(options));
    // What still blocks a thread must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    log.flush();
    result
}

async fn run(options: Options) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let actors = Tasks::new(CancellationToken::new());
    let work = async {
        let api = start(&options, &actors).await?;
        out::line(format_args!("the API is served at {}", url(options.local(), options.port)));
        Ok::<Api, anyhow::Error>(api)
    };
    let api = tokio::select! {
        api = work => api?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    actors.stop().cancel();
    actors.ended().await;
    api.stop().await;
    Ok(())
}

/// Starts it; it is ready when this returns.
async fn start(options: &Options, actors: &Tasks) -> Result<Api> {
    if options.authorization.contains(&Mode::AlwaysAllow) {
        tracing::warn!("anonymous requests are refused with the AlwaysAllow authorizer");
    }
    for url in &options.stores {
        stand_in::check(url).await?;
    }
    // A port that somebody else has is told before anything is written.
    let listener = TcpListener::bind((options.bind, options.port)).await;
    let listener = listener.with_context(|| format!("listen at {}:{}", options.bind, options.port))?;
    options.data.as_deref().map_or(Ok(()), marker::check)?;
    let pki = Arc::new(match &options.data {
        Some(data) => Pki::open(&data.join("pki"), Timestamp::now())?,
        None => Pki::in_memory(Timestamp::now())?,
    });
    let names = [options.kubernetes().into(), options.reachable(), options.bind];
    let certificate = options.certificate.open(&pki, &host()?, &names)?;
    let plan = plan(options, &pki)?;
    let tls = tls::server_config_of(&certificate.chain, &certificate.key, &plan.authorities)?;
    let mut api = Api::build(plan, actors).await?;
    api.listen(listener, tls);
    bootstrap::apply(&api, Vec::new()).await.context("write the first objects")?;
    publish(options, &api, actors);
    if let Some(path) = &options.kubeconfig {
        write_private(path, &admin(options, &pki, &certificate)?)?;
    }
    api.started();
    Ok(api)
}

fn plan(options: &Options, pki: &Arc<Pki>) -> Result<Plan> {
    let store: Arc<dyn Store> = match &options.data {
        Some(data) => Arc::new(disk(data)?),
        None => Arc::new(Memory::new()),
    };
    let authorities = match &options.client_ca {
        Some(path) => tls::certificates(&text(path)?)
            .map_err(|why| anyhow::anyhow!("unable to load client CA file: {}: {why}", path.display()))?,
        None => vec![pki.cluster().certificate().clone()],
    };
    let fixed = options.token_file.as_ref().map(|path| {
        StaticTokens::read(&path.display().to_string(), &text(path)?).map_err(anyhow::Error::msg)
    });
    Ok(Plan {
        store,
        pki: pki.clone(),
        service_network: options.service_network,
        node_ports: options.node_ports.clone(),
        address: authority(options.reachable(), options.port),
        kinds: options.kinds.clone(),
        plugins: options.plugins.clone(),
        pod_security: options.pod_security.clone(),
        authorization: options.authorization.clone(),
        authorities,
        tokens: tokens(options, pki)?,
        fixed: fixed.transpose()?,
        is_anonymous_allowed: options.anonymous,
        limits: options.limits.clone(),
    })
}

/// The store of a data directory. An earlier program must not take what is written there for its own: the directory says
/// who writes it before that is done, and after it is known that nobody else is at it.
fn disk(data: &Path) -> Result<Disk> {
    let store = data.join("store");
    if !marker::is_claimed(data)? {
        drop(Disk::open(&store)?);
        marker::claim(data)?;
    }
    Ok(Disk::open_renewed(&store, &registry::renew(&kinds::all()))?)
}

fn tokens(options: &Options, pki: &Arc<Pki>) -> Result<Tokens> {
    let issuer = options.issuers.first().map_or(ISSUER, String::as_str);
    let tokens = match &options.signing_key {
        Some(path) => {
            let accepted: Vec<String> = options.keys.iter().map(|path| text(path)).collect::<Result<_>>()?;
            Tokens::from_files(issuer, &text(path)?, &accepted)?
        }
        None => Tokens::deferred(issuer, pki.clone()),
    };
    let tokens = tokens.accepting(options.issuers.iter().skip(1).cloned());
    Ok(match options.audiences.is_empty() {
        true => tokens,
        false => tokens.for_audiences(options.audiences.clone()),
    })
}

/// Keeps what is the API server's own as it should be: the Service `kubernetes`, the system's namespaces, the objects of
/// Services' addresses.
fn publish(options: &Options, api: &Api, actors: &Tasks) {
    let address = options.reachable();
    let server = Server {
        cluster_ip: options.kubernetes().into(),
        address: (!address.is_loopback()).then_some(address),
        port: options.port,
        service_network: options.service_network.trunc().to_string(),
    };
    let client = api.client(identity::api_server());
    let work = Work { client: client.clone(), hub: Hub::new(client, actors.clone()), server: Some(server) };
    for worker in WORKERS.iter().filter(|worker| worker.is_the_servers()) {
        let work = work.clone();
        actors.keep(format!("the worker {}", worker.name), move |_| (worker.run)(work.clone()));
    }
}

/// A kubeconfig of the administrator, by a certificate that ends with the authority that signed it, or within a year.
fn admin(options: &Options, pki: &Pki, certificate: &Pair) -> Result<String> {
    let leaf = Leaf::super_admin();
    let issued = pki.issue(&leaf, Timestamp::now())?;
    // Whoever trusts the last of the chain trusts the server, whoever made it.
    let begin = certificate.chain.rfind("-----BEGIN CERTIFICATE-----").unwrap_or(0);
    let authority = certificate.chain.get(begin..).unwrap_or_default();
    Ok(kubeconfig(&url(options.local(), options.port), authority, &leaf.common_name, &issued))
}

impl Options {
    /// The address under which others reach the server; a loopback address where there is no network.
    fn reachable(&self) -> IpAddr {
        let bound = Some(self.bind).filter(|bind| !bind.is_unspecified() && !bind.is_loopback());
        let known = self.advertise.or(bound).or_else(up::machine::find);
        known.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The address under which this machine reaches it.
    fn local(&self) -> IpAddr {
        if self.bind.is_unspecified() { self.reachable() } else { self.bind }
    }

    /// The address of the Service `kubernetes`: the first of the range.
    fn kubernetes(&self) -> Ipv4Addr {
        (u32::from(self.service_network.network()) + 1).into()
    }
}

fn authority(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

fn url(address: IpAddr, port: u16) -> String {
    format!("https://{}", authority(address, port))
}

fn host() -> Result<String> {
    let name = nix::unistd::gethostname().context("read the host name")?;
    Ok(name.to_string_lossy().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_says_who_writes_it_before_it_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let version = dir.path().join("version");
        let earlier = r#"{"format":2,"program":"x"}"#;
        std::fs::write(&version, earlier).expect("writes");
        let other = Disk::open(&dir.path().join("store")).expect("opens");
        assert!(disk(dir.path()).is_err(), "somebody is at it");
        assert_eq!(std::fs::read_to_string(&version).expect("reads"), earlier);
        drop(other);
        drop(disk(dir.path()).expect("opens"));
        assert!(marker::is_claimed(dir.path()).expect("reads"));
        let later = r#"{"format":9999,"program":"y"}"#;
        std::fs::write(&version, later).expect("writes");
        assert!(disk(dir.path()).is_err());
        assert_eq!(std::fs::read_to_string(&version).expect("reads"), later);
    }
}
