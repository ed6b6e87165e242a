//! Network namespaces of a test's own, pods in them, services. Needs root.
#![allow(dead_code, reason = "not every test needs everything")]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Informer, Recorder};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use network::api::OwnPort;
use network::link::Links;
use network::{Bridge, Names, Proxy, bridge, services};
use serde_json::{Value, json};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace bound to a file, unbound at the end.
pub struct Namespace(pub PathBuf);

impl Namespace {
    pub fn new(path: PathBuf) -> Self {
        File::create(&path).expect("file");
        let target = path.clone();
        let make = move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root");
            mount(Some("/proc/thread-self/ns/net"), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bind");
        };
        std::thread::spawn(make).join().expect("made");
        Namespace(path)
    }

    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
        let file = File::open(&self.0).expect("namespace");
        std::thread::spawn(move || {
            setns(file.as_fd(), CloneFlags::CLONE_NEWNET).expect("enter");
            work()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Runs a test in a network namespace of its own, where loopback is up.
pub fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    unshare(CloneFlags::CLONE_NEWNET).expect("root");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let links = Links::connect().expect("netlink");
        links.up(links.index("lo").await.expect("index").expect("lo")).await.expect("up");
        test().await;
    });
}

/// What the node's things are called on the machine.
pub fn names() -> Names {
    Names::of("00000001")
}

/// Ends a node's network; says what was removed.
pub async fn teardown(config: &bridge::Config) -> Vec<String> {
    let bridge::Config { directory, names, cluster_range, service_range, .. } = config;
    let remains = bridge::Remains { names, ranges: &[*cluster_range, *service_range], directory, heir: None };
    bridge::teardown(&remains).await.expect("teardown")
}

pub fn bridge_config(directory: &Path, own_ports: Vec<OwnPort>) -> bridge::Config {
    bridge::Config {
        directory: directory.join("ipam"),
        names: names(),
        pod_range: "10.244.0.0/24".parse().expect("range"),
        cluster_range: "10.244.0.0/16".parse().expect("range"),
        service_range: "10.96.0.0/12".parse().expect("range"),
        own_ports,
    }
}

/// A node with its proxy and the API's objects.
pub struct Node {
    pub proxy: Proxy,
    pub net: Bridge,
    pub services: Informer<Service>,
    pub slices: Informer<EndpointSlice>,
}

impl Node {
    /// A node named `n`; what an earlier one left in the directory is taken over.
    pub async fn open(directory: &Path, own_ports: Vec<OwnPort>) -> Self {
        let (services, slices) = (Informer::detached(), Informer::detached());
        Node::with(directory, own_ports, services, slices).await
    }

    pub async fn with(
        directory: &Path,
        own_ports: Vec<OwnPort>,
        services: Informer<Service>,
        slices: Informer<EndpointSlice>,
    ) -> Self {
        let config = bridge_config(directory, own_ports.clone());
        let proxy = Proxy::new(proxy_config(own_ports), Recorder::silent());
        let pods = proxy.clone();
        let net = Bridge::open(&config, Box::new(move |all| pods.pods(all))).await.expect("opens");
        proxy.follow(&services, &slices);
        Node { proxy, net, services, slices }
    }

    pub async fn sync(&self) -> bool {
        self.proxy.sync(&self.services, &self.slices).await
    }
}

pub fn proxy_config(own_ports: Vec<OwnPort>) -> services::Config {
    services::Config {
        node: "n".to_owned(),
        zone: String::new(),
        names: names(),
        addresses: vec![IpAddr::V4(GATEWAY)],
        cluster_range: "10.244.0.0/16".parse().expect("range"),
        service_range: "10.96.0.0/12".parse().expect("range"),
        own_ports,
    }
}

/// The node's address.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

pub fn service(name: &str, ip: &str, more: Value) -> Service {
    let mut spec = json!({"clusterIP": ip, "type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
    spec.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
    let service = json!({"metadata": {"namespace": "d", "name": name}, "spec": spec});
    serde_json::from_value(service).expect("a service")
}

/// The same, created that many seconds after a day in the past.
pub fn created(mut service: Service, second: i64) -> Service {
    let at = jiff::Timestamp::from_second(1_700_000_000 + second).expect("a time");
    service.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at));
    service
}

/// The same without a port of the node.
pub fn cluster_ip(name: &str, ip: &str, more: Value) -> Service {
    let mut spec = json!({"ports": [{"port": 80}]});
    spec.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
    service(name, ip, spec)
}

pub fn slice(service: &str, addresses: &[IpAddr], port: u16) -> EndpointSlice {
    let endpoints: Vec<Value> = addresses.iter().map(|a| json!({"addresses": [a]})).collect();
    let labels = json!({"kubernetes.io/service-name": service});
    let metadata = json!({"namespace": "d", "name": service, "labels": labels});
    let slice = json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"port": port, "protocol": "TCP"}]});
    serde_json::from_value(slice).expect("a slice")
}

/// A server in a pod that answers every connection with its name; ends with the test.
pub fn serve(pod: &Namespace, name: &'static str, address: IpAddr) {
    let (ready, started) = std::sync::mpsc::channel();
    pod.run(move || {
        let listener = TcpListener::bind((address, 8080)).expect("listen");
        ready.send(()).expect("sent");
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(name.as_bytes());
        }
    });
    started.recv().expect("listening");
}

/// The same, which answers with the client's address.
pub fn serve_address(pod: &Namespace, address: IpAddr) {
    let (ready, started) = std::sync::mpsc::channel();
    pod.run(move || {
        let listener = TcpListener::bind((address, 8080)).expect("listen");
        ready.send(()).expect("sent");
        while let Ok((mut stream, peer)) = listener.accept() {
            let _ = stream.write_all(peer.ip().to_string().as_bytes());
        }
    });
    started.recv().expect("listening");
}

/// The same for datagrams.
pub fn serve_datagrams(pod: &Namespace, name: &'static str, address: IpAddr) {
    let (ready, started) = std::sync::mpsc::channel();
    pod.run(move || {
        let socket = UdpSocket::bind((address, 8080)).expect("bound");
        ready.send(()).expect("sent");
        while let Ok((_, from)) = socket.recv_from(&mut [0; 16]) {
            let _ = socket.send_to(name.as_bytes(), from);
        }
    });
    started.recv().expect("listening");
}

/// Who answers.
pub fn ask(address: &str) -> Result<String, ErrorKind> {
    ask_within(address, Duration::from_secs(5))
}

/// The same where nobody may answer.
pub fn ask_briefly(address: &str) -> Result<String, ErrorKind> {
    ask_within(address, Duration::from_secs(1))
}

fn ask_within(address: &str, patience: Duration) -> Result<String, ErrorKind> {
    let address: SocketAddr = address.parse().expect("address");
    let mut stream = TcpStream::connect_timeout(&address, patience).map_err(|e| e.kind())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|e| e.kind())?;
    Ok(text)
}
