//! The API server: built here from its options, for `up` and for `apiserver` alike.

pub mod bootstrap;
pub mod features;
pub mod plugins;
pub mod runtime_config;
pub mod serve;
pub mod serving;
pub mod stand_in;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use auth::authn::StaticTokens;
use auth::authn::x509::Certificates;
use auth::authz::Mode;
use auth::pki::{Leaf, Pki, tls};
use auth::token::Tokens;
use auth::{Authentication, Authorization};
use ipnet::Ipv4Net;
use kinds::Descriptor;
use meta::User;
use registry::Registry;
use rustls::pki_types::CertificateDer;
use server::lookup::Objects;
use server::{Check, Limits, Parts, Probe, Server, policy};
use store::Store;
use tasks::Tasks;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Who the cluster's tokens say that they are from.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Domain of the cluster.
pub const DOMAIN: &str = "cluster.local";

/// What an API server is built from.
pub struct Plan {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Its own keys.
    pub pki: Arc<Pki>,
    /// Range of service addresses.
    pub service_network: Ipv4Net,
    /// Ports that Services may get.
    pub node_ports: RangeInclusive<u16>,
    /// Host and port under which clients know it.
    pub address: String,
    /// What is served.
    pub kinds: Vec<Descriptor>,
    /// Which admission plug-ins run.
    pub plugins: plugins::Selection,
    /// What pods may where no label says anything, and for whom nothing holds.
    pub pod_security: admission::plugins::pod_security::config::Config,
    /// Who decides what users may.
    pub authorization: Vec<Mode>,
    /// Whose certificates show who a client is.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Signs the tokens of service accounts, and checks them.
    pub tokens: Tokens,
    /// The tokens of a file.
    pub fixed: Option<StaticTokens>,
    /// Whether who shows no credentials is let in, as nobody.
    pub is_anonymous_allowed: bool,
    /// Bounds of concurrent requests.
    pub limits: Limits,
}

/// The API server.
pub struct Api {
    /// The server.
    pub server: Server,
    /// Its keys.
    pub pki: Arc<Pki>,
    tasks: Tasks,
    /// Whether all else has begun.
    started: Arc<AtomicBool>,
    /// Told when the listener has ended, after the stop.
    listening: Option<oneshot::Receiver<()>>,
}

impl Api {
    /// Builds it. Nobody outside of the process reaches it before [`Api::listen`]. It is ready when these actors are, and
    /// all has begun ([`Api::started`]).
    pub async fn build(plan: Plan, actors: &Tasks) -> Result<Api> {
        let tasks = Tasks::new(CancellationToken::new());
        let started = Arc::new(AtomicBool::new(false));
        let begun = started.clone();
        let start = move || if begun.load(Ordering::Relaxed) { Ok(()) } else { Err("not everything has begun".to_owned()) };
        let pki = plan.pki.clone();
        let server = assemble(plan, &tasks, |registry| checks(registry, &tasks, actors, Arc::new(start))).await?;
        Ok(Api { server, pki, tasks, started, listening: None })
    }

    /// Answers at this port; it does when this returns.
    pub fn listen(&mut self, listener: TcpListener, tls: Arc<rustls::ServerConfig>) {
        let (server, (ended, listening)) = (self.server.clone(), oneshot::channel());
        self.tasks.vital("the API server's listener", async move {
            server.listen(listener, tls).await;
            if server.is_stopping() {
                let _ = ended.send(());
                std::future::pending::<()>().await;
            }
        });
        self.listening = Some(listening);
    }

    /// What runs as long as it does.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

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
        if let Some(listening) = self.listening {
            // It ends by itself within its own grace period.
            let _ = listening.await;
        }
        self.tasks.stop().cancel();
        self.tasks.ended().await;
    }
}

async fn assemble(
    plan: Plan,
    tasks: &Tasks,
    checks: impl FnOnce(&Arc<Registry>) -> Vec<Check>,
) -> Result<Server> {
    let authorization = Arc::new(Authorization::of(&plan.authorization));
    let context =
        admission::plugins::Context { authorization: authorization.clone(), pod_security: Arc::new(plan.pod_security) };
    let plugins = plan.plugins.of(admission::plugins::all(&context));
    let config = registry::Config {
        service_cidr: plan.service_network.into(),
        node_ports: plan.node_ports,
        ..registry::Config::default()
    };
    let registry = Registry::open(plan.store, plan.kinds, plugins, config).await?;
    let tokens = Arc::new(plan.tokens);
    let lookup = Arc::new(Objects(registry.clone()));
    let mut authentication = Authentication::new(Certificates::new(&plan.authorities)?, tokens.clone(), lookup);
    if let Some(fixed) = plan.fixed {
        authentication = authentication.with_static_tokens(fixed);
    }
    if !plan.is_anonymous_allowed {
        authentication = authentication.without_anonymous();
    }
    policy::follow(&registry, &authorization, tasks).await?;
    let checks = checks(&registry);
    let server = Server::new(Parts {
        registry,
        authentication: Arc::new(authentication),
        authorization,
        tokens,
        kubelet_tls: tls::client_config(&plan.pki, Leaf::api_server_kubelet_client())?,
        address: plan.address,
        limits: plan.limits,
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
        // Upstream's hooks after the start: roles, namespaces and priority classes; in a cluster the pod network, too,
        // where the server's own address may be.
        check("start", false, start),
        check("tasks", false, Arc::new(move || tasks.check().and_then(|()| actors.check()))),
    ]
}
