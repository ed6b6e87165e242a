//! The API server of a cluster: its keys, its store on the disk, and the administrator's kubeconfig.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result};
use auth::authz::Mode;
use auth::pki::{Leaf, Pki, tls};
use auth::token::Tokens;
use jiff::Timestamp;
use server::Limits;
use store::{Disk, Store};
use tasks::Tasks;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use super::Options;
use super::kubeconfig::Kubeconfig;
use super::machine::{Machine, gateway};
use super::progress::Progress;
use crate::apiserver::plugins::Selection;
use crate::apiserver::{Api, DOMAIN, ISSUER, Plan};

/// Starts it; it answers when this returns. It is ready when these actors are, and all has begun ([`Api::started`]).
pub async fn start(options: &Options, machine: &Machine, actors: &Tasks, progress: &mut Progress) -> Result<Api> {
    let pki_dir = options.dirs.data.join("pki");
    let store_dir = options.dirs.data.join("store");
    let pki = spawn_blocking(move || Pki::open(&pki_dir, Timestamp::now()));
    let store = spawn_blocking(move || Disk::open_renewed(&store_dir, &registry::renew(&kinds::all())));
    let pki = Arc::new(pki.await??);
    progress.done("keys and certificates");
    let store: Arc<dyn Store> = Arc::new(store.await??);
    progress.done("store");

    let mut api = Api::build(plan(options, machine, &pki, store), actors).await?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, options.port)).await;
    let listener = listener.with_context(|| format!("listen at port {}", options.port))?;
    let ours = [options.kubernetes(), gateway(options), Ipv4Addr::LOCALHOST].map(IpAddr::V4);
    let names: Vec<IpAddr> = std::iter::once(machine.address).chain(ours).collect();
    api.listen(listener, tls::server_config(&pki, Leaf::api_server(&machine.node, DOMAIN, &names))?);

    let also = options.clone();
    let kubeconfig = Kubeconfig {
        path: options.dirs.kubeconfig(),
        server: machine.server(options),
        pki,
        mode: options.kubeconfig_mode,
        renewed: Arc::new(move || drop(super::merge(&also, |text| tracing::warn!("{text}")))),
    };
    let term = kubeconfig.write(Timestamp::now())?;
    api.tasks().keep("the renewal of admin.conf", move |scope| {
        kubeconfig.clone().keep_fresh(term, scope.stop().clone())
    });
    progress.done(&format!("API server on port {}", options.port));
    Ok(api)
}

fn plan(options: &Options, machine: &Machine, pki: &Arc<Pki>, store: Arc<dyn Store>) -> Plan {
    Plan {
        store,
        pki: pki.clone(),
        service_network: options.service_network,
        node_ports: options.node_ports.clone(),
        address: format!("{}:{}", machine.address, options.port),
        kinds: kinds::all(),
        plugins: Selection::default(),
        pod_security: options.pod_security.clone(),
        authorization: vec![Mode::Node, Mode::Rbac],
        authorities: vec![pki.cluster().certificate().clone()],
        tokens: Tokens::deferred(ISSUER, pki.clone()),
        fixed: None,
        is_anonymous_allowed: true,
        limits: Limits::default(),
    }
}
