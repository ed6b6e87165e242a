//! Store, registry and API server.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use auth::authn::x509::Certificates;
use auth::pki::{Leaf, Pki, tls};
use auth::token::Tokens;
use auth::{Authentication, Authorization};
use jiff::Timestamp;
use meta::User;
use registry::Registry;
use server::lookup::Objects;
use server::{Check, Limits, Parts, Probe, Server, policy};
use store::{Disk, Store};
use tasks::Tasks;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::kubeconfig::Kubeconfig;
use super::machine::{Machine, gateway};
use super::progress::Progress;

/// Who the cluster's tokens say that they are from.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Domain of the cluster.
pub const DOMAIN: &str = "cluster.local";

/// The running API server.
pub struct Api {
    /// The server.
    pub server: Server,
    /// The cluster's keys.
    pub pki: Arc<Pki>,
    tasks: Tasks,
    /// Whether all else has begun.
    started: Arc<AtomicBool>,
    /// Told when the listener has ended, after the stop.
    listening: oneshot::Receiver<()>,
}

/// Starts it; it answers when this returns. It is ready when these actors are, and all has begun ([`Api::started`]).
pub async fn start(options: &Options, machine: &Machine, actors: &Tasks, progress: &mut Progress) -> Result<Api> {
    let pki_dir = options.dirs.data.join("pki");
    let store_dir = options.dirs.data.join("store");
    let pki = spawn_blocking(move || Pki::open(&pki_dir, Timestamp::now()));
    let store = spawn_blocking(move || Disk::open(&store_dir));
    let pki = Arc::new(pki.await??);
    progress.done("keys and certificates");
    let store: Arc<dyn Store> = Arc::new(store.await??);
    progress.done("store");

    let tasks = Tasks::new(CancellationToken::new());
    let started = Arc::new(AtomicBool::new(false));
    let begun = started.clone();
    let start = move || if begun.load(Ordering::Relaxed) { Ok(()) } else { Err("not everything has begun".to_owned()) };
    let checks = |registry: &Arc<Registry>| checks(registry, &tasks, actors, Arc::new(start));
    let server = assemble(options, machine, &pki, &store, &tasks, checks).await?;
    let listening = listen(options, machine, &server, &pki, &tasks).await?;
    let server_url = machine.server(options);
    let also = options.clone();
    let kubeconfig = Kubeconfig {
        path: options.dirs.kubeconfig(),
        server: server_url,
        pki: pki.clone(),
        mode: options.kubeconfig_mode,
        renewed: Arc::new(move || drop(super::merge(&also, |text| tracing::warn!("{text}")))),
    };
    let renew_at = kubeconfig.write(Timestamp::now())?;
    tasks.keep("the renewal of admin.conf", move |scope| {
        kubeconfig.clone().keep_fresh(renew_at, scope.stop().clone())
    });
    progress.done(&format!("API server on port {}", options.port));
    Ok(Api { server, pki, tasks, started, listening })
}

async fn assemble(
    options: &Options,
    machine: &Machine,
    pki: &Arc<Pki>,
    store: &Arc<dyn Store>,
    tasks: &Tasks,
    checks: impl FnOnce(&Arc<Registry>) -> Vec<Check>,
) -> Result<Server> {
    let authorization = Arc::new(Authorization::default());
    let pod_security = Arc::new(options.pod_security.clone());
    let context = admission::plugins::Context { authorization: authorization.clone(), pod_security };
    let plugins = admission::plugins::all(&context);
    let (service_cidr, node_ports) = (options.service_network.into(), options.node_ports.clone());
    let config = registry::Config { service_cidr, node_ports, ..registry::Config::default() };
    let registry = Registry::open(store.clone(), kinds::all(), plugins, config).await?;
    let tokens = Arc::new(Tokens::deferred(ISSUER, pki.clone()));
    let certificates = Certificates::new(&[pki.cluster().certificate().clone()])?;
    let lookup = Arc::new(Objects(registry.clone()));
    let authentication = Arc::new(Authentication::new(certificates, tokens.clone(), lookup));
    policy::follow(&registry, &authorization, tasks).await?;
    let checks = checks(&registry);
    let server = Server::new(Parts {
        registry,
        authentication,
        authorization,
        tokens,
        kubelet_tls: tls::client_config(pki, Leaf::api_server_kubelet_client())?,
        address: format!("{}:{}", machine.address, options.port),
        limits: Limits::default(),
        checks,
        sources: Vec::new(),
    });
    server.follow_flow_control(tasks).await?;
    server.follow_definitions(tasks).await?;
    Ok(server)
}

/// What `/livez` and `/readyz` look at, under upstream's names where it has them. A fault that another start may mend
/// is one of life.
fn checks(registry: &Arc<Registry>, tasks: &Tasks, actors: &Tasks, start: Probe) -> Vec<Check> {
    let check = |name: &str, vital, probe: Probe| Check { name: name.to_owned(), probe, vital };
    let (store, cache) = (registry.clone(), registry.clone());
    let (tasks, actors, synced) = (tasks.clone(), actors.clone(), actors.clone());
    vec![
        check("etcd", true, Arc::new(move || store.check_store())),
        check("watch-cache", true, Arc::new(move || cache.check_cache())),
        check("informer-sync", false, Arc::new(move || synced.check_probes())),
        // Upstream's hooks after the start: roles, namespaces and priority classes; here the pod network, too, where
        // the server's own address may be.
        check("start", false, start),
        check("tasks", false, Arc::new(move || tasks.check().and_then(|()| actors.check()))),
    ]
}

async fn listen(
    options: &Options,
    machine: &Machine,
    server: &Server,
    pki: &Arc<Pki>,
    tasks: &Tasks,
) -> Result<oneshot::Receiver<()>> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, options.port)).await;
    let listener = listener.with_context(|| format!("listen at port {}", options.port))?;
    let ours = [options.kubernetes(), gateway(options), Ipv4Addr::LOCALHOST].map(IpAddr::V4);
    let names: Vec<IpAddr> = std::iter::once(machine.address).chain(ours).collect();
    let tls = tls::server_config(pki, Leaf::api_server(&machine.node, DOMAIN, &names))?;
    let (server, (ended, listening)) = (server.clone(), oneshot::channel());
    tasks.vital("the API server's listener", async move {
        server.listen(listener, tls).await;
        if server.is_stopping() {
            let _ = ended.send(());
            std::future::pending::<()>().await;
        }
    });
    Ok(listening)
}

impl Api {
    /// Roles, first objects, network and actors have begun.
    pub fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// A client that acts as this user, in the process.
    pub fn client(&self, user: User) -> kube::Client {
        client::connect::in_process(self.server.transport_as(user))
    }

    /// Ends it in good order.
    pub async fn stop(self) {
        self.server.stop();
        // It ends by itself within its own grace period.
        let _ = self.listening.await;
        self.tasks.stop().cancel();
        self.tasks.ended().await;
    }
}
