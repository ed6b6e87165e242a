//! What all workers share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use client::{Hub, Informer};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::node::v1::RuntimeClass;
use meta::Key;
use network::PodNetwork;
use runtime::Runtime;
use tokio::sync::{Notify, Semaphore};

use crate::config::Config;
use crate::container::dns::{self, Resolver};
use crate::container::fields::Facts;
use crate::events::Recorder;
use crate::image::Pulls;
use crate::image::gc::Collector;
use crate::log::places::Places;
use crate::manifest::Statics;
use crate::node::facts;
use crate::objects::Objects;
use crate::pods::Pods;
use crate::pressure::Pressure;
use crate::probe::tally::Tally;
use crate::spec;
use crate::usage::rates::Rates;
use crate::usage::sizes::Sizes;
use crate::volume::token::Tokens;

/// Containers that are being started at the same time, on the whole node.
const STARTS: usize = 16;

/// The means of every worker.
pub struct Agent {
    /// Settings.
    pub config: Config,
    /// The API.
    pub client: kube::Client,
    /// Containers.
    pub runtime: Arc<dyn Runtime>,
    /// Pod networking.
    pub network: Arc<dyn PodNetwork>,
    /// Events.
    pub events: Recorder,
    /// All services, for environment variables.
    pub services: Informer<Service>,
    /// What a pod's class of runtime means.
    pub classes: Informer<RuntimeClass>,
    /// The own Node.
    pub node: Informer<Node>,
    /// ConfigMaps and Secrets that pods name.
    pub objects: Objects,
    /// ServiceAccount tokens.
    pub tokens: Tokens,
    /// What is known of images that were pulled.
    pub pulls: Arc<Pulls>,
    /// What is known of images over time.
    pub images: tokio::sync::Mutex<Collector>,
    /// Where logs lie.
    pub logs: Places,
    /// Pods that files describe.
    pub statics: Statics,
    /// How probes ended.
    pub probed: Tally,
    /// How fast counters grow that somebody asks for.
    pub rates: Rates,
    /// Sizes of pods on the disk that somebody asks for.
    pub sizes: Sizes,
    /// What the node runs short of.
    pub pressure: Pressure,
    /// Wakes who writes the node's status.
    pub news: Arc<Notify>,
    /// The workers.
    pub pods: Pods,
    /// Bounds starts: the work of making containers alone. Nobody waits for anything outside of this machine, or for
    /// what a pod does, while he has a permit.
    pub starts: Semaphore,
}

impl Agent {
    /// Puts the means together; starts the informers and the event writer.
    pub fn new(config: Config, hub: &Hub, runtime: Arc<dyn Runtime>, network: Arc<dyn PodNetwork>) -> Arc<Self> {
        let client = hub.client().clone();
        Arc::new(Agent {
            events: Recorder::start(client.clone(), &config.node_name),
            services: hub.informer(),
            classes: hub.informer(),
            node: hub.selected(&format!("metadata.name={}", config.node_name)),
            objects: Objects::new(client.clone()),
            tokens: Tokens::new(client.clone()),
            pulls: Pulls::new(&config.data_dir),
            images: Default::default(),
            logs: Places::new(&config.data_dir, &config.log_dir, config.log_links.as_deref()),
            statics: Statics::default(),
            probed: Tally::default(),
            rates: Rates::default(),
            sizes: Sizes::default(),
            pressure: Pressure::default(),
            news: Arc::default(),
            pods: Pods::default(),
            starts: Semaphore::new(STARTS),
            config,
            client,
            runtime,
            network,
        })
    }

    /// The node's memory in bytes, as its Node object says.
    pub fn node_memory(&self) -> i64 {
        let node = self.node.get(&Key::new("", &self.config.node_name));
        let memory = node.as_ref().and_then(|n| n.status.as_ref()?.capacity.as_ref()?.get("memory").cloned());
        let told = memory.and_then(|q| meta::Quantity::parse(&q.0).ok()).map(|q| q.value());
        // Static pods run before there is an API to ask.
        told.unwrap_or_else(|| facts::read(&self.config.data_dir).memory)
    }

    /// Addresses of a pod.
    pub fn pod_ips(&self, pod: &Pod) -> Vec<IpAddr> {
        if spec::host_network(pod) { self.config.addresses.clone() } else { self.network.addresses(spec::uid(pod)) }
    }

    /// What `fieldRef` and `resourceFieldRef` are answered from.
    pub fn facts(&self, pod: &Pod) -> Facts {
        let node = self.node.get(&Key::new("", &self.config.node_name));
        Facts {
            pod_ips: self.pod_ips(pod),
            host_ips: self.config.addresses.clone(),
            allocatable: node.map(|n| Facts::allocatable_of(&n)).unwrap_or_default(),
        }
    }

    /// The variables that tell a pod of services. Waits for the first list of them, but for a static pod: the API may be
    /// what it is to bring up.
    pub async fn service_variables(&self, pod: &Pod) -> BTreeMap<String, String> {
        if !self.pods.is_static(spec::uid(pod)) {
            self.services.synced().await;
        }
        let services = self.services.snapshot();
        let links = spec::of(pod).enable_service_links != Some(false);
        crate::container::services::variables(services.values(), spec::namespace(pod), links)
    }

    /// The machine's own resolver configuration.
    pub fn host_resolver(&self) -> Resolver {
        dns::parse(&std::fs::read_to_string(&self.config.resolv_conf).unwrap_or_default())
    }
}
