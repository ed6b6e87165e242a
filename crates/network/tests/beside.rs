//! Two clusters' networks beside each other on one machine. Needs root.

mod common;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use client::{Informer, Recorder};
use common::{Namespace, Node, ask, cluster_ip, in_namespace, serve, slice};
use network::api::PodNetwork;
use network::bridge::{self, Bridge, Remains, teardown};
use network::link::Links;
use network::{Names, Proxy, services};
use serde_json::json;

/// What the second byte of addresses tells apart.
struct Ranges {
    id: &'static str,
    pods: u8,
    services: u8,
}

const ONE: Ranges = Ranges { id: "00000001", pods: 244, services: 96 };
const OTHER: Ranges = Ranges { id: "00000002", pods: 245, services: 97 };

impl Ranges {
    fn config(&self, directory: &Path) -> bridge::Config {
        bridge::Config {
            directory: directory.join(self.id),
            names: Names::of(self.id),
            pod_range: format!("10.{}.0.0/24", self.pods).parse().expect("range"),
            cluster_range: format!("10.{}.0.0/16", self.pods).parse().expect("range"),
            service_range: format!("10.{}.0.0/16", self.services).parse().expect("range"),
            own_ports: Vec::new(),
        }
    }

    async fn open(&self, directory: &Path) -> Node {
        let config = self.config(directory);
        let proxy = services::Config {
            node: "n".to_owned(),
            zone: String::new(),
            names: config.names.clone(),
            addresses: Vec::new(),
            cluster_range: config.cluster_range,
            service_range: config.service_range,
            own_ports: Vec::new(),
        };
        let proxy = Proxy::new(proxy, Recorder::silent());
        let pods = proxy.clone();
        let net = Bridge::open(&config, Box::new(move |all| pods.pods(all))).await.expect("opens");
        let (services, slices) = (Informer::detached(), Informer::detached());
        proxy.follow(&services, &slices);
        Node { proxy, net, services, slices }
    }

    async fn down(&self, directory: &Path, heir: Option<&Ranges>) {
        let (config, heir) = (self.config(directory), heir.map(|heir| heir.config(directory).directory));
        services::teardown(&config.names).expect("teardown");
        let remains = Remains {
            names: &config.names,
            ranges: &[config.cluster_range, config.service_range],
            directory: &config.directory,
            heir: heir.as_deref(),
        };
        let removed = teardown(&remains).await.expect("teardown");
        assert!(removed.iter().any(|what| what.contains(&config.names.bridge)), "{removed:?}");
    }
}

/// Two pods of a cluster and a service in front of one of them.
struct Pods {
    asking: Namespace,
    serving: IpAddr,
    service: String,
}

impl Pods {
    async fn run(ranges: &Ranges, node: &Node, directory: &Path) -> Self {
        let [asking, server] = ["asking", "server"].map(|pod| Namespace::new(directory.join(format!("{pod}{}", ranges.id))));
        node.net.attach("asking", &asking.0, &[]).await.expect("attach");
        let serving = node.net.attach("server", &server.0, &[]).await.expect("attach")[0];
        serve(&server, ranges.id, serving);
        let address = format!("10.{}.0.9", ranges.services);
        let plain = json!({"type": "ClusterIP", "ports": [{"port": 80}]});
        node.services.apply(cluster_ip("web", &address, plain));
        node.slices.apply(slice("web", &[serving], 8080));
        assert!(node.sync().await);
        Pods { asking, serving, service: format!("{address}:80") }
    }

    fn answer(&self, id: &str) {
        let (service, direct) = (self.service.clone(), format!("{}:8080", self.serving));
        assert_eq!(ask(&service).as_deref(), Ok(id), "from the node");
        for address in [service, direct] {
            assert_eq!(self.asking.run(move || ask(&address)).join().expect("ran").as_deref(), Ok(id), "from a pod");
        }
    }
}

fn forwarding() -> String {
    fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("a setting").trim().to_owned()
}

#[test]
fn the_end_of_one_is_nothing_to_the_other() {
    let dir = tempfile::tempdir().expect("dir");
    let dir = dir.path();
    in_namespace(async || {
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("set");
        let (one, other) = (ONE.open(dir).await, OTHER.open(dir).await);
        let (pods, others) = (Pods::run(&ONE, &one, dir).await, Pods::run(&OTHER, &other, dir).await);
        pods.answer(ONE.id);
        others.answer(OTHER.id);
        // A pod of the one is somebody from outside to the other.
        let service = others.service.clone();
        assert_eq!(pods.asking.run(move || ask(&service)).join().expect("ran").as_deref(), Ok(OTHER.id));

        drop(one);
        ONE.down(dir, Some(&OTHER)).await;
        assert_eq!(forwarding(), "1", "the other needs it");
        others.answer(OTHER.id);
        let again = ONE.open(dir).await;
        others.answer(OTHER.id);
        drop((again, other));
        OTHER.down(dir, Some(&ONE)).await;
        ONE.down(dir, None).await;
        assert_eq!(forwarding(), "0", "as it was before both");
        assert_eq!(Links::connect().expect("netlink").names().await.expect("names"), ["lo"]);
    });
}
