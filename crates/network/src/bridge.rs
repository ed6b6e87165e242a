//! The embedded pod network: each pod has a link of its own to the node, and the node routes.
//!
//! A pod's address is a /32 and its only way out is the gateway, so that all its traffic, to its neighbours on the
//! node as well, passes the pins, the service rules and the node's filters, and arrives with the pod's own address.
//! The node's ends of the links have the gateway's address each. A bridge without ports keeps it for the node itself.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use ipnet::Ipv4Net;

use crate::api::{Error, HostPort, OwnPort, PodNetwork, PodPorts, Result};
use crate::ipam::Ipam;
use crate::link::{Links, failed, inside};
use crate::names::Names;
use crate::pins::{self, Pin, Pins};
use crate::sysctl;
use crate::traffic::{self, Traffic};

/// The pod's end.
const POD_LINK: &str = "eth0";

/// What the bridge network needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where addresses are kept.
    pub directory: PathBuf,
    /// What the cluster's things are called on the machine.
    pub names: Names,
    /// This node's part of the pod range.
    pub pod_range: Ipv4Net,
    /// The whole cluster's pod range.
    pub cluster_range: Ipv4Net,
    /// The range of service addresses.
    pub service_range: Ipv4Net,
    /// What the node serves itself: no pod gets it as a host port.
    pub own_ports: Vec<OwnPort>,
}

/// Tells whoever translates host ports which pod has which; called after every attach and detach.
pub type HostPortsChanged = Box<dyn Fn(&HashMap<String, PodPorts>) + Send + Sync>;

/// The network of this node.
pub struct Bridge {
    links: Links,
    names: Names,
    ipam: Ipam,
    /// The bridge's.
    index: u32,
    pins: Pins,
    directory: PathBuf,
    own_ports: Vec<OwnPort>,
    pods: Mutex<HashMap<String, PodPorts>>,
    changed: HostPortsChanged,
}

impl Bridge {
    /// Makes the bridge and the routes. What an earlier process left is taken over.
    pub async fn open(config: &Config, changed: HostPortsChanged) -> Result<Self> {
        let ipam = Ipam::open(&config.directory, config.pod_range)?;
        let links = Links::connect()?;
        // A stray packet to an address of ours that nobody has must not leave the machine.
        links.unreachable(config.cluster_range).await?;
        links.unreachable(config.service_range).await?;
        let index = links.bridge(&config.names.bridge, ipam.gateway(), 32).await?;
        // The node itself must find a way to a service's address before the rules can translate it.
        links.route(config.service_range, index, None).await?;
        links.check()?;
        sysctl::set(&config.directory.join(sysctl::SAVED), &config.names.bridge)?;
        let known = |(uid, address): (String, Ipv4Addr)| {
            let (ports, since) = read_ports(&ports_path(&config.directory, &uid));
            (uid, PodPorts { address, ports, since })
        };
        let pods = Mutex::new(ipam.all().into_iter().map(known).collect());
        let (names, own_ports) = (config.names.clone(), config.own_ports.clone());
        let (directory, pins) = (config.directory.clone(), Pins::new(&names));
        let bridge = Bridge { links, names, ipam, index, pins, directory, own_ports, pods, changed };
        bridge.take_over().await?;
        // Pods that run already keep their host ports.
        bridge.remember(|_| ());
        Ok(bridge)
    }

    /// Pods that run already: their links may be those of an earlier version, ports of the bridge.
    async fn take_over(&self) -> Result<()> {
        let mut pins = Vec::new();
        for (uid, address) in self.ipam.all() {
            let link = self.names.link(address);
            if let Some(index) = self.links.index(&link).await? {
                self.links.unplug(index, self.index).await?;
                self.connect(&link, index, address).await?;
                pins.push((uid.into(), Some(Pin { link, address })));
            }
        }
        // Now that each pod has a route of its own: the range was the bridge's, and who has no pod is nowhere.
        self.links.keep_prefix(self.index, self.ipam.gateway(), 32).await?;
        self.pins.change(pins).await
    }

    /// Whether the pod's link is the other end of the node's. Where it is not (an earlier sandbox of the pod had it, or
    /// an earlier process ended half-way), the node's end is removed.
    async fn is_joined(&self, host_link: &str, netns: &Path) -> Result<bool> {
        let Some(index) = self.links.index(host_link).await? else {
            self.links.check()?;
            return Ok(false);
        };
        let peer = inside(netns, async move |links: Links| {
            let peer = links.peer(POD_LINK).await?;
            links.check().map(|()| peer)
        });
        if peer.await? == Some(index) {
            return Ok(true);
        }
        self.links.remove(host_link).await?;
        self.links.check().map(|()| false)
    }

    /// The node's end of a pod's pair: the gateway on it, and the way to the pod.
    async fn connect(&self, link: &str, index: u32, pod: Ipv4Addr) -> Result<()> {
        sysctl::set_link(link)?;
        self.links.address(index, self.ipam.gateway(), 32).await?;
        self.links.up(index).await?;
        self.links.route(Ipv4Net::from(pod), index, None).await?;
        self.links.check()
    }

    /// The gateway's address: what pods see of the node.
    pub fn gateway(&self) -> Ipv4Addr {
        self.ipam.gateway()
    }

    fn remember(&self, change: impl FnOnce(&mut HashMap<String, PodPorts>)) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut pods);
        (self.changed)(&pods);
    }
}

#[async_trait]
impl PodNetwork for Bridge {
    async fn attach(&self, pod_uid: &str, netns: &Path, host_ports: &[HostPort]) -> Result<Vec<IpAddr>> {
        let own = host_ports.iter().find(|port| self.own_ports.iter().any(|own| own.is_wanted_by(port)));
        if let Some(HostPort { host_port, protocol, .. }) = own {
            return Err(Error::OwnPort { port: *host_port, protocol: *protocol });
        }
        let address = self.ipam.take(pod_uid)?;
        let (host_link, gateway) = (self.names.link(address), self.ipam.gateway());
        // Before anything can be sent.
        self.pins.change(vec![(pod_uid.into(), Some(Pin { link: host_link.clone(), address }))]).await?;
        let home = File::open("/proc/thread-self/ns/net").map_err(|e| failed("open the network namespace", e))?;
        let joined = self.is_joined(&host_link, netns).await?;
        let name = host_link.clone();
        inside(netns, async move |links: Links| {
            if let Some(loopback) = links.index("lo").await? {
                links.up(loopback).await?;
            }
            if !joined {
                links.remove(POD_LINK).await?;
                links.veth(POD_LINK, &name, &home).await?;
            }
            let index = links.index(POD_LINK).await?.ok_or(Error::NotReady)?;
            links.address(index, address, 32).await?;
            links.up(index).await?;
            links.route(Ipv4Net::from(gateway), index, None).await?;
            links.route(Ipv4Net::default(), index, Some(gateway)).await?;
            links.check()
        })
        .await?;
        let index = self.links.index(&host_link).await?;
        self.links.check()?;
        let index = index.ok_or_else(|| Error::System(format!("link {host_link} did not arrive")))?;
        self.connect(&host_link, index, address).await?;
        let path = ports_path(&self.directory, pod_uid);
        if read_ports(&path).0 != host_ports {
            write_ports(&path, host_ports)?;
        }
        let (ports, since) = read_ports(&path);
        self.remember(|pods| drop(pods.insert(pod_uid.to_owned(), PodPorts { address, ports, since })));
        Ok(vec![IpAddr::V4(address)])
    }

    fn traffic(&self, pod_uids: &[String]) -> BTreeMap<String, Traffic> {
        let links = traffic::read().unwrap_or_default();
        let of = |uid: &String| Some((uid.clone(), links.get(&self.names.link(self.ipam.of(uid)?))?.at_other_end()));
        pod_uids.iter().filter_map(of).collect()
    }

    async fn detach(&self, pod_uid: &str) -> Result<()> {
        if let Some(address) = self.ipam.of(pod_uid) {
            self.links.remove(&self.names.link(address)).await?;
            self.links.check()?;
            self.pins.change(vec![(pod_uid.into(), None)]).await?;
            self.ipam.give_back(pod_uid)?;
        }
        write_ports(&ports_path(&self.directory, pod_uid), &[])?;
        self.remember(|pods| drop(pods.remove(pod_uid)));
        Ok(())
    }

    fn addresses(&self, pod_uid: &str) -> Vec<IpAddr> {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.get(pod_uid).map(|pod| vec![IpAddr::V4(pod.address)]).unwrap_or_default()
    }

    fn owners(&self) -> Vec<String> {
        self.ipam.all().into_iter().map(|(owner, _)| owner).collect()
    }
}

/// What is to be removed of a network that nobody serves any more.
pub struct Remains<'a> {
    /// What its things are called on the machine.
    pub names: &'a Names,
    /// Ranges of pods and services that are nobody else's.
    pub ranges: &'a [Ipv4Net],
    /// Where addresses are kept.
    pub directory: &'a Path,
    /// The same of another network on the machine, which needs what settings of the kernel they share; it sets them
    /// back when it goes.
    pub heir: Option<&'a Path>,
}

/// Removes links, routes and addresses; returns what it removed, in words.
pub async fn teardown(remains: &Remains<'_>) -> Result<Vec<String>> {
    let (links, names, directory) = (Links::connect()?, remains.names, remains.directory);
    let mut removed = Vec::new();
    for name in links.names().await? {
        if (name == names.bridge || name.starts_with(&names.links)) && links.remove(&name).await? {
            removed.push(format!("link {name}"));
        }
    }
    for &range in remains.ranges {
        if links.remove_unreachable(range).await? {
            removed.push(format!("route unreachable {range}"));
        }
    }
    links.check()?;
    removed.extend(pins::remove(names)?);
    let saved = directory.join(sysctl::SAVED);
    if let Some(heir) = remains.heir {
        sysctl::hand_over(&saved, &heir.join(sysctl::SAVED))?;
    }
    removed.extend(sysctl::restore(&saved)?);
    match std::fs::remove_dir_all(directory) {
        Ok(()) => removed.push(format!("directory {}", directory.display())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(format!("remove {}", directory.display()), e)),
    }
    Ok(removed)
}

/// Where a pod's host ports are kept, beside the addresses.
fn ports_path(directory: &Path, pod_uid: &str) -> PathBuf {
    directory.join(format!("{pod_uid}.ports"))
}

/// The ports and since when they are there. A pod without ports is there since ever.
fn read_ports(path: &Path) -> (Vec<HostPort>, i128) {
    let ports = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let written = std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_nanos() as i128);
    (ports, since)
}

/// No ports need no file.
fn write_ports(path: &Path, ports: &[HostPort]) -> Result<()> {
    let done = match serde_json::to_vec(ports) {
        _ if ports.is_empty() => std::fs::remove_file(path),
        Ok(text) => std::fs::write(path, text),
        Err(error) => Err(error.into()),
    };
    match done {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(format!("write {}", path.display()), e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Protocol;

    #[test]
    fn recorded_addresses_and_ports_mean_what_they_meant() {
        const POD: &str = "fb8861c1-41e4-438f-a833-7478c033b1e5";
        let recorded = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/version0"));
        let dir = tempfile::tempdir().expect("directory");
        for entry in std::fs::read_dir(recorded).expect("is read") {
            let entry = entry.expect("is read");
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("is copied");
        }
        let ipam = Ipam::open(dir.path(), "10.244.0.0/24".parse().expect("range")).expect("opens");
        assert_eq!(ipam.all(), [(POD.to_owned(), Ipv4Addr::new(10, 244, 0, 2))]);
        assert_eq!(ipam.take(POD).expect("has one"), Ipv4Addr::new(10, 244, 0, 2));
        assert_eq!(ipam.take("other").expect("free"), Ipv4Addr::new(10, 244, 0, 3));
        let port = |host_ip, protocol| HostPort { host_ip, host_port: 8080, container_port: 80, protocol };
        let all = [port(None, Protocol::Udp), port(Some("127.0.0.1".parse().expect("address")), Protocol::Tcp)];
        assert_eq!(read_ports(&ports_path(dir.path(), POD)).0, all);
    }
}
