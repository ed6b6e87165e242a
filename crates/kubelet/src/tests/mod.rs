//! Tests of the whole agent against a fake runtime.

pub(crate) mod api;
mod classes;
mod images;
mod pressure;
pub(crate) mod life;
pub(crate) mod runtime;
mod stuck;
mod serving;
mod storage;

use std::path::Path;

use crate::config::Config;
use crate::image::gc::Policy;

/// A configuration with everything below one directory.
pub(crate) fn config(dir: &Path) -> Config {
    Config {
        node_name: "n1".to_owned(),
        hostname: "n1".to_owned(),
        addresses: vec!["192.0.2.1".parse().expect("address")],
        data_dir: dir.join("data"),
        log_dir: dir.join("logs"),
        log_links: Some(dir.join("links")),
        system_logs: dir.join("system-logs"),
        log_rotation: Default::default(),
        cluster_dns: vec!["10.96.0.10".parse().expect("address")],
        cluster_domain: "cluster.local".to_owned(),
        port: 10250,
        max_pods: 110,
        pod_pids: None,
        version: "v1.36.3".to_owned(),
        labels: Default::default(),
        handlers: Vec::new(),
        taints: Vec::new(),
        pod_cidr: String::new(),
        resolv_conf: dir.join("resolv.conf"),
        // Who tests it does it himself.
        static_pods: None,
        image_gc: Policy { high: 100, ..Policy::default() },
        pressure: crate::pressure::Policy { thresholds: Vec::new(), ..Default::default() },
        credential_providers: Default::default(),
    }
}
