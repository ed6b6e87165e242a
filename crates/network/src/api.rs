//! What the node agent asks of pod networking.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use async_trait::async_trait;

use crate::traffic::Traffic;

/// A port of the node that leads to a port of the pod.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostPort {
    /// Node address it listens at; `None` for every address.
    pub host_ip: Option<IpAddr>,
    /// Port of the node.
    pub host_port: u16,
    /// Port of the pod.
    pub container_port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its name in objects.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }

    /// Its number in IP packets.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }
}

/// A port that the node serves itself: no pod and no service may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPort {
    /// The address it is served at; `None`: at every address of the node.
    pub address: Option<IpAddr>,
    /// Protocol.
    pub protocol: Protocol,
    /// Port.
    pub port: u16,
}

impl OwnPort {
    /// Whether a host port would take it. One at every address does not take what is served at one address: that
    /// address is left out.
    pub fn is_wanted_by(&self, port: &HostPort) -> bool {
        let here = match (self.address, port.host_ip) {
            (None, _) => true,
            (Some(own), Some(wanted)) => own == wanted,
            (Some(_), None) => false,
        };
        here && self.protocol == port.protocol && self.port == port.host_port
    }
}

/// A pod of the node with its host ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPorts {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its host ports.
    pub ports: Vec<HostPort>,
    /// Since when it has them, in nanoseconds since 1970: of two pods with one port the older has it.
    pub since: i128,
}

/// Why a pod could not be attached or detached.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The node has no pod range yet; worth another try when it gets one.
    #[error("the node has no pod address range yet")]
    NotReady,
    /// No free address in the node's range.
    #[error("no free address in {0}")]
    Exhausted(String),
    /// The node serves the port itself.
    #[error("cannot open hostport {port}/{} for the pod: the node itself listens there", protocol.name())]
    OwnPort {
        /// Port.
        port: u16,
        /// Protocol.
        protocol: Protocol,
    },
    /// The operation and what the system said.
    #[error("{0}")]
    System(String),
}

/// Result of a networking call.
pub type Result<T> = std::result::Result<T, Error>;

/// Interfaces, addresses and host ports of the pods of one node.
///
/// Every call is idempotent and allocations survive a restart of the process: attaching a pod
/// again returns the addresses it has.
#[async_trait]
pub trait PodNetwork: Send + Sync + 'static {
    /// Gives the namespace at `netns` an interface, addresses and routes, and opens the host ports.
    /// Returns the addresses, the primary one first.
    async fn attach(&self, pod_uid: &str, netns: &Path, host_ports: &[HostPort]) -> Result<Vec<IpAddr>>;
    /// Takes interface, addresses and host ports away; no error for an unknown pod.
    async fn detach(&self, pod_uid: &str) -> Result<()>;
    /// The uids of all pods that have something of it, attached or half attached.
    fn owners(&self) -> Vec<String> {
        Vec::new()
    }
    /// The addresses of an attached pod, the primary one first; empty for an unknown pod.
    fn addresses(&self, pod_uid: &str) -> Vec<IpAddr>;
    /// What has passed the interface of each of these pods that has one, as the pod counts it.
    fn traffic(&self, _pod_uids: &[String]) -> BTreeMap<String, Traffic> {
        BTreeMap::new()
    }
}
