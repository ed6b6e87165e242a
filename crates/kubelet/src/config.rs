//! What the binary tells the node agent.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::image::gc;
use crate::image::provider::Providers;
use crate::pressure::Policy;

/// Settings of one node agent.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the Node object.
    pub node_name: String,
    /// The machine's host name.
    pub hostname: String,
    /// Addresses of the node, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// Pods' files (`<data_dir>/pods/<uid>/…`) and the agent's own.
    pub data_dir: PathBuf,
    /// Container logs: `<log_dir>/<namespace>_<name>_<uid>/<container>/<attempt>.log`.
    pub log_dir: PathBuf,
    /// Name servers of `ClusterFirst` pods.
    pub cluster_dns: Vec<IpAddr>,
    /// Domain of the cluster.
    pub cluster_domain: String,
    /// Port of the agent's own server, as the Node object tells it.
    pub port: u16,
    /// Most pods at a time.
    pub max_pods: u32,
    /// Version that the node reports, for example `v1.36.3`.
    pub version: String,
    /// Labels beside upstream's.
    pub labels: BTreeMap<String, String>,
    /// Taints given at registration: `key=value:effect`.
    pub taints: Vec<String>,
    /// The node's part of the pod range, as the Node object tells it; empty for none.
    pub pod_cidr: String,
    /// The machine's resolver configuration.
    pub resolv_conf: PathBuf,
    /// When images go that nobody uses.
    pub image_gc: gc::Policy,
    /// When pods go for what the node runs short of.
    pub pressure: Policy,
    /// Programs that know credentials for registries.
    pub credential_providers: Providers,
}

impl Config {
    /// Directory of one pod's files.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.data_dir.join("pods").join(uid)
    }

    /// Seccomp profiles that the node's owner has put there (upstream: `<root directory>/seccomp`).
    pub fn seccomp_dir(&self) -> PathBuf {
        self.data_dir.join("seccomp")
    }

    /// Directory of one pod's logs.
    pub fn pod_log_dir(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.log_dir.join(format!("{namespace}_{name}_{uid}"))
    }
}
