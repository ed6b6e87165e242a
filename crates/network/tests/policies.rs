//! Who reaches what: claims that collide, traffic policies, source ranges, ports of the node itself. Needs root.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};

use client::Informer;
use common::{
    GATEWAY, Namespace, Node, ask, ask_briefly, cluster_ip, created, in_namespace, serve, serve_address, service, slice,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use network::api::{Error, HostPort, OwnPort, PodNetwork, Protocol};
use network::link::Links;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// The slice with all its endpoints on a node.
fn on(node: &str, mut slice: EndpointSlice) -> EndpointSlice {
    slice.endpoints.iter_mut().flatten().for_each(|e| e.node_name = Some(node.to_owned()));
    slice
}

fn host_port(port: u16) -> HostPort {
    HostPort { host_ip: None, host_port: port, container_port: 8080, protocol: Protocol::Tcp }
}

/// The answer that a pod gets.
fn ask_from(pod: &Namespace, address: &'static str) -> Result<String, ErrorKind> {
    pod.run(move || ask(address)).join().expect("ran")
}

/// Whether nobody answers a pod, and nobody refuses.
fn is_dropped(pod: &Namespace, address: &'static str) -> bool {
    let answer = pod.run(move || ask_briefly(address)).join().expect("ran");
    matches!(answer, Err(ErrorKind::TimedOut | ErrorKind::WouldBlock))
}

async fn give_address(address: &str) {
    let links = Links::connect().expect("netlink");
    let lo = links.index("lo").await.expect("index").expect("lo");
    links.address(lo, address.parse().expect("address"), 32).await.expect("added");
}

#[test]
fn colliding_claims_stop_nobody_else_also_after_a_restart() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let outside = Outside::new(dir.path()).await;
        let (a, b) = (Namespace::new(dir.path().join("a")), Namespace::new(dir.path().join("b")));
        let ip_a = node.net.attach("a", &a.0, &[host_port(9999)]).await.expect("attach")[0];
        let ip_b = node.net.attach("b", &b.0, &[host_port(9999), host_port(9998)]).await.expect("attach")[0];
        serve(&a, "a", ip_a);
        serve(&b, "b", ip_b);
        // One external address twice; an external address that is a cluster address; both older than its owner.
        let shared = json!({"externalIPs": ["192.0.2.7"]});
        let first = created(cluster_ip("first", "10.96.0.1", shared.clone()), 1);
        let second = created(cluster_ip("second", "10.96.0.2", json!({"externalIPs": ["192.0.2.7", "10.96.0.3"]})), 0);
        let owner = created(cluster_ip("owner", "10.96.0.3", json!({})), 9);
        let slices = [slice("first", &[ip_a], 8080), slice("second", &[ip_b], 8080), slice("owner", &[ip_a], 8080)];
        [&first, &second, &owner].into_iter().for_each(|service| node.services.apply(service.clone()));
        slices.into_iter().for_each(|slice| node.slices.apply(slice));
        assert!(node.sync().await);
        let check = |expected: [&str; 4]| {
            let asked = ["192.0.2.7:80", "10.96.0.1:80", "10.96.0.2:80", "10.96.0.3:80"];
            // From where every address has a way: a machine beside.
            assert_eq!(asked.map(|address| ask_from(&outside.0, address).unwrap_or_default()), expected);
        };
        check(["b", "a", "b", "a"]);
        assert_eq!((ask("10.244.0.1:9999").as_deref(), ask("10.244.0.1:9998").as_deref()), (Ok("a"), Ok("b")));

        // The same for a new process, and what comes later is served.
        let (services, slices) = (node.services.clone(), node.slices.clone());
        drop(node);
        let node = Node::with(dir.path(), Vec::new(), services, slices).await;
        assert!(node.sync().await);
        check(["b", "a", "b", "a"]);
        assert_eq!(ask("10.244.0.1:9999").as_deref(), Ok("a"));
        node.services.apply(cluster_ip("later", "10.96.0.4", json!({})));
        node.slices.apply(slice("later", &[ip_b], 8080));
        assert!(node.sync().await);
        assert_eq!(ask("10.96.0.4:80").as_deref(), Ok("b"));

        // The winners go: the others get what they asked for.
        node.services.delete(&second);
        node.net.detach("a").await.expect("detach");
        node.slices.apply(slice("first", &[ip_b], 8080));
        assert!(node.sync().await);
        assert_eq!(ask_from(&outside.0, "192.0.2.7:80").as_deref(), Ok("b"));
        assert_eq!(ask("10.244.0.1:9999").as_deref(), Ok("b"));
        assert_eq!(ask("10.96.0.2:80"), Err(ErrorKind::ConnectionRefused));
    });
}

#[test]
fn what_the_node_serves_stays_the_nodes() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let tcp = |address, port| OwnPort { address, protocol: Protocol::Tcp, port };
        give_address("192.0.2.1").await;
        let own = vec![tcp(None, 30443), tcp(Some(IpAddr::V4(GATEWAY)), 53)];
        // A pod of an earlier time that has the port of the node.
        let a = Namespace::new(dir.path().join("a"));
        let before = Node::open(dir.path(), Vec::new()).await;
        let ip = before.net.attach("a", &a.0, &[host_port(30443), host_port(53)]).await.expect("attach")[0];
        drop(before);
        serve(&a, "pod", ip);
        let node = Node::open(dir.path(), own).await;
        for address in ["0.0.0.0:30443", "10.244.0.1:53"] {
            let listener = TcpListener::bind(address).expect("listen");
            std::thread::spawn(move || {
                listener.incoming().map_while(Result::ok).for_each(|mut s| drop(s.write_all(b"node")));
            });
        }
        let external = json!({"externalIPs": ["192.0.2.1"], "ports": [{"port": 30443}]});
        node.services.apply(service("external", "10.96.0.1", external));
        let by_port = json!({"ports": [{"port": 80, "nodePort": 30443}]});
        node.services.apply(service("node-port", "10.96.0.2", by_port));
        // The API's own service leads to the node, and its port is nobody's but the service's.
        node.services.apply(cluster_ip("kubernetes", "10.96.0.3", json!({"ports": [{"port": 30443}]})));
        for name in ["external", "node-port", "kubernetes"] {
            node.slices.apply(slice(name, &[ip], 8080));
        }
        assert!(node.sync().await);
        let answers = ["192.0.2.1:30443", "10.244.0.1:30443", "10.244.0.1:53", "192.0.2.1:53", "10.96.0.3:30443", "10.96.0.2:80"];
        assert_eq!(answers.map(|at| ask(at).unwrap_or_else(|e| e.to_string())), ["node", "node", "node", "pod", "pod", "pod"]);
        // New pods are told.
        let b = Namespace::new(dir.path().join("b"));
        let refused = node.net.attach("b", &b.0, &[host_port(30443)]).await.expect_err("refused");
        assert!(matches!(refused, Error::OwnPort { port: 30443, .. }), "{refused}");
        assert_eq!(refused.to_string(), "cannot open hostport 30443/TCP for the pod: the node itself listens there");
        assert!(node.net.addresses("b").is_empty());
    });
}

#[test]
fn a_local_policy_keeps_the_clients_address_and_goes_nowhere_else() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let (a, outside) = (Namespace::new(dir.path().join("a")), Outside::new(dir.path()).await);
        let ip = node.net.attach("a", &a.0, &[]).await.expect("attach")[0];
        serve_address(&a, ip);
        let local = json!({"externalTrafficPolicy": "Local", "ports": [{"port": 80, "nodePort": 30080}]});
        node.services.apply(service("local", "10.96.0.1", local));
        node.services.apply(service("any", "10.96.0.2", json!({"ports": [{"port": 80, "nodePort": 30081}]})));
        node.slices.apply(on("n", slice("local", &[ip], 8080)));
        node.slices.apply(on("n", slice("any", &[ip], 8080)));
        assert!(node.sync().await);
        let from = |address| ask_from(&outside.0, address);
        assert_eq!(from("198.51.100.1:30080").as_deref(), Ok("198.51.100.2"), "the client's own address");
        assert_eq!(from("198.51.100.1:30081").as_deref(), Ok("10.244.0.1"), "translated");

        // The endpoints are elsewhere: dropped from outside, served for pods and the node.
        node.slices.apply(on("elsewhere", slice("local", &[ip], 8080)));
        assert!(node.sync().await);
        assert!(is_dropped(&outside.0, "198.51.100.1:30080"));
        assert!(ask("198.51.100.1:30080").is_ok(), "the node itself");
        let b = Namespace::new(dir.path().join("b"));
        let ip_b = node.net.attach("b", &b.0, &[]).await.expect("attach")[0];
        assert_eq!(ask_from(&b, "198.51.100.1:30080"), Ok(ip_b.to_string()), "a pod, with its own address");
        // Nobody at all: refused.
        node.slices.apply(on("elsewhere", slice("local", &[], 8080)));
        assert!(node.sync().await);
        assert_eq!(from("198.51.100.1:30080"), Err(ErrorKind::ConnectionRefused));
    });
}

/// A machine beside the node: 198.51.100.2, which knows the node as 198.51.100.1.
struct Outside(Namespace);

impl Outside {
    async fn new(dir: &std::path::Path) -> Self {
        let outside = Namespace::new(dir.join("outside"));
        let home = std::fs::File::open("/proc/thread-self/ns/net").expect("namespace");
        let work = async move |links: Links| {
            links.veth("eth0", "uplink", &home).await?;
            let index = links.index("eth0").await?.unwrap_or_default();
            links.address(index, [198, 51, 100, 2].into(), 24).await?;
            links.up(index).await?;
            links.route("0.0.0.0/0".parse().expect("range"), index, Some([198, 51, 100, 1].into())).await
        };
        network::link::inside(&outside.0, work).await.expect("made");
        let links = Links::connect().expect("netlink");
        let index = links.index("uplink").await.expect("index").expect("arrived");
        links.address(index, [198, 51, 100, 1].into(), 24).await.expect("address");
        links.up(index).await.expect("up");
        Outside(outside)
    }
}

#[test]
fn source_ranges_hold_for_the_load_balancers_address_alone() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let (a, outside) = (Namespace::new(dir.path().join("a")), Outside::new(dir.path()).await);
        let ip = node.net.attach("a", &a.0, &[]).await.expect("attach")[0];
        serve(&a, "a", ip);
        let balanced = |ranges: &[&str]| {
            let spec = json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ranges, "externalIPs": ["192.0.2.8"]});
            let mut service = service("web", "10.96.0.1", spec);
            let status = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}});
            service.status = Some(serde_json::from_value(status).expect("a status"));
            service
        };
        let check = async |ranges: &[&str], expected: bool| {
            node.services.apply(balanced(ranges));
            assert!(node.sync().await);
            let from = |address| ask_from(&outside.0, address).as_deref() == Ok("a");
            let unguarded = from("192.0.2.8:80") && from("198.51.100.1:30080") && from("10.96.0.1:80");
            let guarded = if expected { from("192.0.2.7:80") } else { !is_dropped(&outside.0, "192.0.2.7:80") };
            assert_eq!((guarded, unguarded), (expected, true), "{ranges:?}");
        };
        node.slices.apply(slice("web", &[ip], 8080));
        check(&[], true).await;
        check(&["203.0.113.0/24", "198.51.100.4/30"], false).await;
        check(&["203.0.113.0/24", "198.51.100.0/30"], true).await;
        check(&["198.51.100.3/32", "198.51.100.0/31"], false).await;
        check(&["0.0.0.0/0"], true).await;
        check(&["255.0.0.0/8"], false).await;
        check(&[], true).await;
    });
}

#[test]
fn clients_keep_their_endpoint_as_long_as_it_is_there() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let pods: Vec<(Namespace, IpAddr)> = {
            let mut pods = Vec::new();
            for name in ["a", "b", "c", "d"] {
                let pod = Namespace::new(dir.path().join(name));
                let ip = node.net.attach(name, &pod.0, &[]).await.expect("attach")[0];
                serve(&pod, name, ip);
                pods.push((pod, ip));
            }
            pods
        };
        let ips: Vec<IpAddr> = pods.iter().map(|(_, ip)| *ip).collect();
        let sticky = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 100}}});
        node.services.apply(service("web", "10.96.0.1", sticky));
        node.slices.apply(slice("web", &ips, 8080));
        assert!(node.sync().await);
        let client = &pods[0].0;
        let all = |way: &'static str| -> Vec<String> {
            let mut seen: Vec<String> = (0..20).map(|_| ask_from(client, way).expect("served")).collect();
            seen.dedup();
            seen
        };
        let first = all("10.96.0.1:80");
        assert_eq!(first.len(), 1, "{first:?}");
        assert_eq!(all("10.244.0.1:30080"), first, "by whatever way");
        // Another endpoint goes: nothing changes. Its own goes: another one, and that is kept.
        let kept = ["a", "b", "c", "d"].iter().position(|name| *name == first[0]).expect("known");
        let without = |gone: usize| -> Vec<IpAddr> {
            ips.iter().enumerate().filter(|(n, _)| *n != gone).map(|(_, ip)| *ip).collect()
        };
        node.slices.apply(slice("web", &without((kept + 1) % 4), 8080));
        assert!(node.sync().await);
        assert_eq!(all("10.96.0.1:80"), first);
        node.slices.apply(slice("web", &without(kept), 8080));
        assert!(node.sync().await);
        let second = all("10.96.0.1:80");
        assert!(second.len() == 1 && second != first, "{second:?}");
        node.slices.apply(slice("web", &ips, 8080));
        assert!(node.sync().await);
        assert_eq!(all("10.96.0.1:80"), second, "the old one is not taken up again");
        // No affinity any more, and again.
        node.services.apply(service("web", "10.96.0.1", json!({})));
        assert!(node.sync().await);
        assert!(all("10.96.0.1:80").len() > 1);
    });
}

#[test]
fn load_balancers_are_told_how_many_endpoints_are_here() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let checked = |port: u16| {
            let spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port});
            service("web", "10.96.0.1", spec)
        };
        let (ip, other): (IpAddr, IpAddr) = ([10, 244, 0, 5].into(), [10, 244, 0, 6].into());
        node.services.apply(checked(30999));
        node.slices.apply(on("n", slice("web", &[ip, other], 8080)));
        assert!(node.sync().await);
        let answer = health(30999).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let headers = ["content-type: application/json", "x-content-type-options: nosniff", "x-load-balancing-endpoint-weight: 2"];
        assert!(headers.iter().all(|line| answer.contains(&format!("{line}\r\n"))), "{answer}");
        let body = "{\n\t\"service\": {\n\t\t\"namespace\": \"d\",\n\t\t\"name\": \"web\"\n\t},\n\t\"localEndpoints\": 2,\n\t\
                    \"serviceProxyHealthy\": true\n}";
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
        // The endpoints move away, the port changes, the service ends.
        node.slices.apply(on("elsewhere", slice("web", &[ip], 8080)));
        assert!(node.sync().await);
        let answer = health(30999).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"localEndpoints\": 0,"), "{answer}");
        node.services.apply(checked(30998));
        assert!(node.sync().await);
        assert!(health(30998).await.contains("\"localEndpoints\": 0,"));
        node.services.delete(&checked(30998));
        assert!(node.sync().await);
        for port in [30999, 30998] {
            let closed = tokio::task::spawn_blocking(move || TcpStream::connect(("127.0.0.1", port))).await.expect("ran");
            assert_eq!(closed.expect_err("closed").kind(), ErrorKind::ConnectionRefused);
        }
    });
}

/// The whole answer of a health check.
async fn health(port: u16) -> String {
    let ask = move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: n\r\n\r\n").expect("asked");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        text
    };
    tokio::task::spawn_blocking(ask).await.expect("ran")
}

#[test]
fn connections_stay_in_the_zone_of_the_node_also_when_that_changes() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let (a, b) = (Namespace::new(dir.path().join("a")), Namespace::new(dir.path().join("b")));
        let near = node.net.attach("a", &a.0, &[]).await.expect("attach")[0];
        let far = node.net.attach("b", &b.0, &[]).await.expect("attach")[0];
        serve(&a, "a", near);
        serve(&b, "b", far);
        let mut both = slice("web", &[near, far], 8080);
        for (endpoint, zone) in both.endpoints.iter_mut().flatten().zip(["z1", "z2"]) {
            endpoint.hints = serde_json::from_value(json!({"forZones": [{"name": zone}]})).ok();
        }
        let nodes = Informer::<k8s_openapi::api::core::v1::Node>::detached();
        let is_in = |zone: &str| {
            let labels = json!({"topology.kubernetes.io/zone": zone});
            nodes.apply(serde_json::from_value(json!({"metadata": {"name": "n", "labels": labels}})).expect("a node"));
        };
        // Twenty connections: a coin does not fall on one side so often.
        let only = async |name: &'static str| {
            let asking = async {
                let mut row = 0;
                while row < 20 {
                    let answer = tokio::task::spawn_blocking(|| ask("10.96.0.7:80")).await.expect("ran");
                    row = if answer.as_deref() == Ok(name) { row + 1 } else { 0 };
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(30), asking).await.expect("all to one");
        };
        let stop = CancellationToken::new();
        is_in("z1");
        let running = node.proxy.clone().run(node.services.clone(), node.slices.clone(), nodes.clone(), stop.clone());
        let running = tokio::spawn(running);
        node.services.apply(cluster_ip("web", "10.96.0.7", json!({})));
        node.slices.apply(both);
        only("a").await;
        is_in("z2");
        only("b").await;
        stop.cancel();
        running.await.expect("ended");
    });
}
