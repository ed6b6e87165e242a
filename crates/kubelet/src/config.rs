//! What the binary tells the node agent.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::image::gc;
use crate::image::provider::Providers;
use crate::log::rotate;
use crate::manifest;
use crate::pressure::Policy;

/// Settings of one node agent.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the Node object.
    pub node_name: String,
    /// The machine's own host name, which pods on its network have as well.
    pub hostname: String,
    /// Addresses of the node, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// Pods' files (`<data_dir>/pods/<uid>/…`) and the agent's own.
    pub data_dir: PathBuf,
    /// Container logs: `<log_dir>/<namespace>_<name>_<uid>/<container>/<attempt>.log` (upstream: `podLogsDir`).
    pub log_dir: PathBuf,
    /// Where each container's log has a link, for programs that ship logs; none if nobody looks there.
    pub log_links: Option<PathBuf>,
    /// The machine's own logs (upstream: `/var/log`).
    pub system_logs: PathBuf,
    /// When logs are rotated.
    pub log_rotation: rotate::Policy,
    /// Name servers of `ClusterFirst` pods.
    pub cluster_dns: Vec<IpAddr>,
    /// Domain of the cluster.
    pub cluster_domain: String,
    /// Port of the agent's own server, as the Node object tells it.
    pub port: u16,
    /// Most pods at a time.
    pub max_pods: u32,
    /// Processes of one pod at most (upstream: `podPidsLimit`); `None`: as many as all pods together.
    pub pod_pids: Option<i64>,
    /// Version that the node reports, for example `v1.36.3`.
    pub version: String,
    /// Labels beside upstream's.
    pub labels: BTreeMap<String, String>,
    /// Names that RuntimeClasses may have for the runtime beside [`runtime::HANDLERS`].
    pub handlers: Vec<String>,
    /// Taints given at registration: `key=value:effect`.
    pub taints: Vec<String>,
    /// The node's part of the pod range, as the Node object tells it; empty for none.
    pub pod_cidr: String,
    /// The machine's resolver configuration.
    pub resolv_conf: PathBuf,
    /// Pods that files of the node describe (upstream: `staticPodPath`).
    pub static_pods: Option<manifest::Source>,
    /// When images go that nobody uses.
    pub image_gc: gc::Policy,
    /// When pods go for what the node runs short of.
    pub pressure: Policy,
    /// Programs that know credentials for registries.
    pub credential_providers: Providers,
}

impl Config {
    /// All names of the runtime, each once.
    pub fn all_handlers(&self) -> Vec<&str> {
        let mut all = runtime::HANDLERS.to_vec();
        for name in &self.handlers {
            if !all.contains(&name.as_str()) {
                all.push(name);
            }
        }
        all
    }

    /// Directory of one pod's files.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.data_dir.join("pods").join(uid)
    }

    /// Seccomp profiles that the node's owner has put there (upstream: `<root directory>/seccomp`).
    pub fn seccomp_dir(&self) -> PathBuf {
        self.data_dir.join("seccomp")
    }
}
