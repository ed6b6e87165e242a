//! Controllers, scheduler, node agent, service proxy and DNS: each with its own identity.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use auth::identity;
use auth::pki::Leaf;
use client::events::{Form, Recorder};
use client::{Hub, Informer};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use meta::{Key, User};
use network::{Bridge, OwnPort, Protocol, Proxy};
use runtime::Embedded;
use tasks::Tasks;
use tokio::net::TcpListener;

use super::Options;
use super::machine::{Machine, gateway};
use super::manifest::READER;
use super::progress::Progress;
use crate::apiserver::{Api, DOMAIN};
use crate::commands::KUBERNETES;

/// How long the node may take to become Ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most pods of the node (upstream: `maxPods`).
const MAX_PODS: u32 = 110;

/// Where DNS is asked.
pub const DNS_PORT: u16 = 53;

/// The running actors.
pub struct Actors {
    /// The local images and containers.
    pub runtime: Arc<Embedded>,
    node: Key,
    nodes: Informer<Node>,
}

/// Starts all of them among these tasks.
pub async fn start(
    options: &Options,
    machine: &Machine,
    api: &Api,
    tasks: &Tasks,
    progress: &mut Progress,
) -> Result<Actors> {

    let server = controllers::Server {
        cluster_ip: IpAddr::V4(options.kubernetes()),
        address: Some(machine.address),
        port: options.port,
        service_network: options.service_network.trunc().to_string(),
    };
    let config = controllers::Config { root_ca: api.pki.cluster().certificate_pem().to_owned(), server: Some(server) };
    controllers::run(|name| api.client(user_named(name)), &config, tasks);
    let (client, host) = (api.client(component(identity::SCHEDULER)), machine.hostname.clone());
    tasks.keep("the scheduler", move |scope| {
        let stop = scope.stop().clone();
        scheduler::run(Hub::new(client.clone(), scope), host.clone(), stop)
    });
    progress.done("controllers and scheduler");

    let proxy = start_proxy(options, machine, api.client(component(identity::PROXY)), tasks);
    let bridge = start_bridge(options, &proxy).await?;
    start_dns(options, api.client(service_account("coredns")), tasks);
    progress.done("pod network, services and DNS");

    let embedded = Arc::new(Embedded::new(options.dirs.runtime())?);
    let node_user = User::new(&format!("{}{}", identity::NODE_PREFIX, machine.node), &[identity::NODES, identity::AUTHENTICATED]);
    // The node's permission to read itself serves to see it become Ready.
    let node_hub = Hub::new(api.client(node_user), tasks.clone());
    start_kubelet(options, machine, api, &node_hub, &embedded, bridge).await?;
    progress.done("node agent");

    let nodes = node_hub.selected::<Node>(&format!("metadata.name={}", machine.node));
    Ok(Actors { runtime: embedded, node: Key::new("", &machine.node), nodes })
}

fn start_proxy(options: &Options, machine: &Machine, client: kube::Client, tasks: &Tasks) -> Proxy {
    let config = network::services::Config {
        node: machine.node.clone(),
        zone: String::new(),
        names: options.dirs.names.clone(),
        cluster_range: options.pod_network,
        service_range: options.service_network,
        addresses: vec![machine.address],
        own_ports: own_ports(options),
    };
    let events = Recorder::new(client.clone(), "kube-proxy", &machine.node, Form::Modern);
    let proxy = Proxy::new(config, events);
    let (running, node) = (proxy.clone(), format!("metadata.name={}", machine.node));
    tasks.keep("the service proxy", move |scope| {
        let (stop, hub) = (scope.stop().clone(), Hub::new(client.clone(), scope));
        running.clone().run(hub.informer::<Service>(), hub.informer::<EndpointSlice>(), hub.selected::<Node>(&node), stop)
    });
    proxy
}

fn start_dns(options: &Options, client: kube::Client, tasks: &Tasks) {
    let config = dns_config(options);
    let events = Recorder::new(client.clone(), "coredns", "", Form::Core);
    tasks.keep("cluster DNS", move |scope| {
        let stop = scope.stop().clone();
        let dns = dns::run(dns::Sources::of(Hub::new(client.clone(), scope)), config.clone(), events.clone(), stop);
        async move {
            if let Err(error) = dns.await {
                tracing::error!(%error, "cluster DNS does not run");
            }
        }
    });
}

async fn start_bridge(options: &Options, proxy: &Proxy) -> Result<Arc<Bridge>> {
    let config = network::bridge::Config {
        directory: options.dirs.network(),
        names: options.dirs.names.clone(),
        pod_range: options.node_pods(),
        cluster_range: options.pod_network,
        service_range: options.service_network,
        own_ports: own_ports(options),
    };
    let proxy = proxy.clone();
    let bridge = Bridge::open(&config, Box::new(move |pods| proxy.pods(pods))).await;
    Ok(Arc::new(bridge.context("make the pod network")?))
}

/// What this process listens at: no pod and no service gets it.
fn own_ports(options: &Options) -> Vec<OwnPort> {
    let tcp = |port| OwnPort { address: None, protocol: Protocol::Tcp, port };
    let dns = |protocol| OwnPort { address: Some(IpAddr::V4(gateway(options))), protocol, port: DNS_PORT };
    vec![tcp(options.port), tcp(options.kubelet_port), dns(Protocol::Tcp), dns(Protocol::Udp)]
}

fn dns_config(options: &Options) -> dns::Config {
    dns::Config {
        domain: DOMAIN.to_owned(),
        address: gateway(options),
        port: DNS_PORT,
        resolv_conf: "/etc/resolv.conf".into(),
    }
}

async fn start_kubelet(
    options: &Options,
    machine: &Machine,
    api: &Api,
    hub: &Hub,
    embedded: &Arc<Embedded>,
    bridge: Arc<Bridge>,
) -> Result<()> {
    let config = kubelet::Config {
        node_name: machine.node.clone(),
        hostname: machine.hostname.clone(),
        addresses: vec![machine.address],
        data_dir: options.dirs.kubelet(),
        log_dir: options.pod_logs.clone().unwrap_or_else(|| options.dirs.pod_logs()),
        log_links: options.dirs.log_links(),
        system_logs: "/var/log".into(),
        log_rotation: options.log_rotation,
        cluster_dns: vec![IpAddr::V4(options.dns())],
        cluster_domain: DOMAIN.to_owned(),
        port: options.kubelet_port,
        max_pods: MAX_PODS,
        pod_pids: options.pod_pids,
        version: KUBERNETES.to_owned(),
        labels: BTreeMap::new(),
        handlers: options.handlers.clone(),
        taints: Vec::new(),
        pod_cidr: options.node_pods().to_string(),
        resolv_conf: "/etc/resolv.conf".into(),
        static_pods: options.static_pods.clone().map(|path| kubelet::manifest::Source { path, reader: READER }),
        image_gc: options.image_gc,
        pressure: options.pressure.clone(),
        credential_providers: options.credential_providers.clone(),
    };
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, options.kubelet_port)).await;
    let listener = listener.with_context(|| format!("listen at port {}", options.kubelet_port))?;
    let names = [machine.address, IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let tls = auth::pki::tls::server_config(&api.pki, Leaf::kubelet_server(&machine.node, &names))?;
    let agent = kubelet::agent(config, hub, embedded.clone(), bridge);
    let clients = auth::authn::x509::Certificates::new(&[api.pki.cluster().certificate().clone()])?;
    let serving = kubelet::server::Serving { listener, tls, clients };
    hub.tasks().vital("the node agent", kubelet::run(agent, hub.clone(), Some(serving), hub.stop().clone()));
    Ok(())
}

fn service_account(name: &str) -> User {
    let mut user = identity::service_account("kube-system", name);
    user.groups.push(identity::AUTHENTICATED.to_owned());
    user
}

/// A component outside of the cluster, by its name alone.
fn component(name: &str) -> User {
    User::new(name, &[identity::AUTHENTICATED])
}

/// The user that a controller asks for: a service account, or a component.
fn user_named(name: &str) -> User {
    match identity::split_service_account(name) {
        Some((_, account)) => service_account(account),
        None => component(name),
    }
}

impl Actors {
    /// Waits until the node is Ready.
    pub async fn node_ready(&self) -> Result<()> {
        let changed = Arc::new(tokio::sync::Notify::new());
        let notify = changed.clone();
        self.nodes.on_change(move |_| notify.notify_one());
        let ready = async {
            while !self.nodes.get(&self.node).is_some_and(|node| is_ready(&node)) {
                changed.notified().await;
            }
        };
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            bail!("the node did not become Ready within {} s: see what it says with `kubectl describe node`", PATIENCE.as_secs());
        }
        Ok(())
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

