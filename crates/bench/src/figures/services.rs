//! The service rules of a large cluster in the kernel, in a network namespace of their own: how long the first
//! transaction takes, and one more service; what they cost in the kernel; and that traffic goes where it should.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use client::{Informer, Recorder};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use network::link::Links;
use network::{Bridge, Names, PodNetwork, Proxy, bridge, services};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::{Value, json};

use super::{Group, at_most};

/// Services and endpoints of each.
const SIZES: [(u32, u32); 3] = [(10_000, 2), (45_000, 1), (5_000, 50)];
/// Services that come later, one at a time.
const LATER: u32 = 9;
/// Connections between two pods, one after the other.
const CONNECTIONS: u32 = 2_000;
/// Where the pod that is real listens.
const PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) const GROUP: Group = Group {
    figures: &[
        at_most("services.first_10k_x2_ms", "ms", 1_000.0),
        at_most("services.first_45k_x1_ms", "ms", 3_000.0),
        at_most("services.first_5k_x50_ms", "ms", 6_000.0),
        at_most("services.one_more_ms", "ms", 10.0),
        at_most("services.kernel_10k_x2_mb", "MB", 20.0),
        at_most("services.kernel_45k_x1_mb", "MB", 40.0),
        at_most("services.kernel_5k_x50_mb", "MB", 60.0),
        at_most("services.pod_round_trip_us", "us", 200.0),
    ],
    measure: |_| Box::pin(async { measure() }),
};

/// Everything happens on a thread whose network is its own.
fn measure() -> Result<Vec<f64>> {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(figures())
    };
    std::thread::spawn(run).join().map_err(|_| anyhow!("the measurement died"))?
}

async fn figures() -> Result<Vec<f64>> {
    let links = Links::connect()?;
    links.up(links.index("lo").await?.context("loopback")?).await?;
    let directory = tempfile::tempdir()?;
    let config = bridge::Config {
        directory: directory.path().join("ipam"),
        names: Names::of("00000000"),
        pod_range: "10.244.0.0/24".parse()?,
        cluster_range: "10.244.0.0/16".parse()?,
        service_range: "10.96.0.0/12".parse()?,
        own_ports: Vec::new(),
    };
    let net = Bridge::open(&config, Box::new(|_| {})).await?;
    let (server, asking) = (Namespace::new(directory.path().join("a"))?, Namespace::new(directory.path().join("b"))?);
    let address = net.attach("a", &server.0, &[]).await?[0];
    net.attach("b", &asking.0, &[]).await?;
    serve(&server, address)?;
    let (mut figures, mut more, mut memory) = (Vec::new(), 0.0_f64, Vec::new());
    for (count, ends) in SIZES {
        let size = Size { count, ends, address };
        let before = kernel_memory()?;
        let (first, one_more) = size.measure(&config, &asking).await?;
        memory.push(kernel_memory()? - before);
        services::teardown(&config.names)?;
        figures.push(first);
        more = one_more.max(more);
    }
    figures.push(more);
    figures.extend(memory);
    figures.push(round_trip(&asking, address)?);
    Ok(figures)
}

/// A cluster of which one pod is real.
struct Size {
    count: u32,
    ends: u32,
    address: IpAddr,
}

impl Size {
    /// Milliseconds of the first transaction, and the median of one more service.
    async fn measure(&self, config: &bridge::Config, asking: &Namespace) -> Result<(f64, f64)> {
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
        let (all, slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
        proxy.follow(&all, &slices);
        for number in 0..self.count {
            all.apply(service(number)?);
            let ends: Vec<IpAddr> = (0..self.ends).map(|end| stranger(number * self.ends + end)).collect();
            // The one in the middle leads to the pod that is real.
            slices.apply(slice(number, if number == self.count / 2 { vec![self.address] } else { ends })?);
        }
        let started = Instant::now();
        ensure!(proxy.sync(&all, &slices).await, "the rules are not whole");
        let first = started.elapsed().as_secs_f64() * 1e3;
        ask(asking, cluster_ip(self.count / 2))?;
        let mut more = Vec::new();
        for number in self.count..self.count + LATER {
            all.apply(service(number)?);
            slices.apply(slice(number, vec![self.address])?);
            let started = Instant::now();
            ensure!(proxy.sync(&all, &slices).await, "the rules are not whole");
            more.push(started.elapsed().as_secs_f64() * 1e3);
            ask(asking, cluster_ip(number))?;
        }
        Ok((first, super::median(more)))
    }
}

fn cluster_ip(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 96, 0, 1)) + number)
}

/// An endpoint that nobody asks.
fn stranger(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(172, 16, 0, 1)) + number))
}

fn service(number: u32) -> Result<Service> {
    let spec = json!({"clusterIP": cluster_ip(number), "type": "ClusterIP", "ports": [{"port": 80}]});
    Ok(serde_json::from_value(json!({"metadata": {"namespace": "d", "name": format!("s{number}")}, "spec": spec}))?)
}

fn slice(number: u32, ends: Vec<IpAddr>) -> Result<EndpointSlice> {
    let name = format!("s{number}");
    let metadata = json!({"namespace": "d", "name": name, "labels": {"kubernetes.io/service-name": name}});
    let ends: Vec<Value> = ends.iter().map(|end| json!({"addresses": [end]})).collect();
    let ports = json!([{"port": PORT, "protocol": "TCP"}]);
    Ok(serde_json::from_value(json!({"metadata": metadata, "addressType": "IPv4", "endpoints": ends, "ports": ports}))?)
}

/// What the kernel cannot give back, in MB: small objects and tables.
fn kernel_memory() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let of = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().nth(1)?.parse::<f64>().ok());
    Ok(["SUnreclaim", "VmallocUsed"].iter().filter_map(|name| of(name)).sum::<f64>() / 1e3)
}

/// A connection to the service from another pod, and from the node.
fn ask(pod: &Namespace, address: Ipv4Addr) -> Result<()> {
    let ask = move || -> Result<()> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, 80)), PATIENCE)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        ensure!(text == "here", "service {address} answers {text:?}");
        Ok(())
    };
    pod.run(ask).join().map_err(|_| anyhow!("the client died"))?.context("from a pod")?;
    ask().context("from the node")
}

/// A server in the pod that greets every client.
fn serve(pod: &Namespace, address: IpAddr) -> Result<()> {
    let (ready, started) = std::sync::mpsc::channel();
    pod.run(move || {
        let listener = TcpListener::bind((address, PORT));
        let _ = ready.send(listener.as_ref().map(drop).map_err(ToString::to_string));
        for mut stream in listener.iter().flat_map(TcpListener::incoming).map_while(Result::ok) {
            let _ = stream.write_all(b"here");
        }
    });
    started.recv()?.map_err(|text| anyhow!(text))
}

/// Median time of a connection from one pod to another with its answer, in microseconds.
fn round_trip(pod: &Namespace, address: IpAddr) -> Result<f64> {
    let ask = move || -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..CONNECTIONS {
            let started = Instant::now();
            let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, PORT)), PATIENCE)?;
            stream.read_exact(&mut [0; 4])?;
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        Ok(super::median(times))
    };
    pod.run(ask).join().map_err(|_| anyhow!("the client died"))?
}

/// A network namespace bound to a file, unbound at the end.
struct Namespace(PathBuf);

impl Namespace {
    fn new(path: PathBuf) -> Result<Self> {
        File::create(&path)?;
        let bind = |target: &Path| -> Result<()> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok(mount(Some("/proc/thread-self/ns/net"), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
        };
        let target = path.clone();
        std::thread::spawn(move || bind(&target)).join().map_err(|_| anyhow!("no namespace"))??;
        Ok(Namespace(path))
    }

    fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
        let path = self.0.clone();
        std::thread::spawn(move || {
            let entered = File::open(&path).map_err(anyhow::Error::from).and_then(|file| Ok(setns(file.as_fd(), CloneFlags::CLONE_NEWNET)?));
            assert!(entered.is_ok(), "the namespace {} cannot be entered", path.display());
            work()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
