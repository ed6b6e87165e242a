//! The nodes with what runs on them, as one cycle sees them.

use std::collections::VecDeque;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use imbl::OrdMap;
use k8s_openapi::api::core::v1::{Node, Pod};
use meta::Key;

use crate::resources::{Amounts, nonzero_requests, requests};

/// A port that a pod takes on its node: (host address, protocol, port).
pub type HostPort = (String, String, i32);

/// A pod with what the cycle needs of it, computed once.
#[derive(Clone, Debug, PartialEq)]
pub struct PodInfo {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What it asks for.
    pub requests: Amounts,
    /// The same with defaults, for scores.
    pub nonzero: Amounts,
    /// Ports on the node.
    pub ports: Vec<HostPort>,
}

impl PodInfo {
    /// Computes it.
    pub fn new(pod: Arc<Pod>) -> Self {
        PodInfo { requests: requests(&pod), nonzero: nonzero_requests(&pod), ports: host_ports(&pod), pod }
    }

    /// Its priority; 0 when it has none.
    pub fn priority(&self) -> i32 {
        self.pod.spec.as_ref().and_then(|s| s.priority).unwrap_or(0)
    }

    /// Its name among all pods.
    pub fn key(&self) -> Key {
        client::informer::key_of(self.pod.as_ref())
    }
}

/// A node with the sum of its pods.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    /// The node; absent while only pods are known of it.
    pub node: Option<Arc<Node>>,
    /// What it can give.
    pub allocatable: Amounts,
    /// What its pods ask for.
    pub requested: Amounts,
    /// The same with defaults, for scores.
    pub nonzero: Amounts,
    /// Its pods. Shared with older snapshots: a change costs what the change costs.
    pub pods: OrdMap<Key, Arc<PodInfo>>,
    /// Pods that wait for room to be made for them here. They are in no sum.
    pub nominated: OrdMap<Key, Arc<PodInfo>>,
    /// The number of the change that made it what it is.
    pub version: u64,
}

/// As many changes are remembered for each node, and this many more.
const REMEMBERED: (usize, usize) = (4, 1024);

/// All nodes as they are, and which of them changed lately.
#[derive(Debug, Default)]
pub struct Snapshot {
    nodes: OrdMap<Arc<str>, Arc<NodeInfo>>,
    /// Where room is being made for which pod.
    nominations: OrdMap<Key, Arc<str>>,
    /// How many changes there were.
    version: u64,
    /// The nodes of the last ones, oldest first.
    changes: VecDeque<Arc<str>>,
}

impl Snapshot {
    /// Nodes that exist, in name order.
    pub fn nodes(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<NodeInfo>)> {
        self.nodes.iter().filter(|(_, info)| info.node.is_some())
    }

    /// The same, begun behind the node of this name and ended with it.
    pub fn nodes_behind(&self, name: &str) -> impl Iterator<Item = (&Arc<str>, &Arc<NodeInfo>)> {
        let (behind, before) = ((Excluded(name), Unbounded), (Unbounded, Included(name)));
        let all = self.nodes.range::<_, str>(behind).chain(self.nodes.range::<_, str>(before));
        all.filter(|(_, info)| info.node.is_some())
    }

    /// How many nodes there are, or are remembered.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node is known.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many changes there were. Nothing has changed while it has not.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The nodes that changed since there were so many changes, each as often as it did; `None` if that is not
    /// remembered any more.
    pub fn changed_since(&self, version: u64) -> Option<impl Iterator<Item = &Arc<str>>> {
        let newer = usize::try_from(self.version.checked_sub(version)?).ok()?;
        Some(self.changes.range(self.changes.len().checked_sub(newer)?..))
    }

    /// One node, or what is remembered of it.
    pub fn node(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.nodes.get(name)
    }

    /// The node on which room is being made for a pod.
    pub fn nomination(&self, key: &Key) -> Option<&Arc<str>> {
        self.nominations.get(key)
    }

    /// Notes that room is being made for a pod on a node, in place of what was known of it.
    pub fn nominate(&mut self, key: &Key, node: &Arc<str>, pod: Arc<PodInfo>) {
        self.withdraw(key);
        self.nominations.insert(key.clone(), node.clone());
        self.change(node, |info| drop(info.nominated.insert(key.clone(), pod)));
    }

    /// Forgets the nomination of a pod; says where it was.
    pub fn withdraw(&mut self, key: &Key) -> Option<Arc<str>> {
        let node = self.nominations.remove(key)?;
        self.change(&node, |info| drop(info.nominated.remove(key)));
        Some(node)
    }

    /// Takes in a node as it is now.
    pub fn set_node(&mut self, node: Arc<Node>) {
        let name: Arc<str> = node.metadata.name.as_deref().unwrap_or("").into();
        self.change(&name, |info| {
            info.allocatable = Amounts::read(node.status.as_ref().and_then(|s| s.allocatable.as_ref()));
            info.node = Some(node);
        });
    }

    /// Takes in a node that changed in nothing that is looked at.
    pub fn heard_from(&mut self, node: &Arc<Node>) {
        let name = node.metadata.name.as_deref().unwrap_or("");
        if let Some(info) = self.nodes.get_mut(name) {
            Arc::make_mut(info).node = Some(node.clone());
        }
    }

    /// Takes in the end of a node; its pods are remembered until they go.
    pub fn remove_node(&mut self, name: &str) {
        self.change(&Arc::from(name), |info| info.node = None);
    }

    /// Takes in a pod on a node, in place of what was known of it.
    pub fn set_pod(&mut self, node: &str, key: &Key, pod: Arc<PodInfo>) {
        self.change(&Arc::from(node), |info| info.put(key, pod));
    }

    /// Takes in that a pod is no longer on a node.
    pub fn remove_pod(&mut self, node: &str, key: &Key) {
        self.change(&Arc::from(node), |info| info.take_away(key));
    }

    fn change(&mut self, name: &Arc<str>, change: impl FnOnce(&mut NodeInfo)) {
        let mut info = self.nodes.get(name).map(|i| NodeInfo::clone(i)).unwrap_or_default();
        change(&mut info);
        self.version += 1;
        info.version = self.version;
        self.changes.push_back(name.clone());
        if self.changes.len() > self.nodes.len() * REMEMBERED.0 + REMEMBERED.1 {
            self.changes.pop_front();
        }
        if info.node.is_none() && info.pods.is_empty() && info.nominated.is_empty() {
            self.nodes.remove(name);
        } else {
            self.nodes.insert(name.clone(), Arc::new(info));
        }
    }
}

impl NodeInfo {
    /// Counts a pod, in place of what was counted of it.
    pub fn put(&mut self, key: &Key, pod: Arc<PodInfo>) {
        self.take_away(key);
        self.requested.add(&pod.requests, 1);
        self.nonzero.add(&pod.nonzero, 1);
        self.pods.insert(key.clone(), pod);
    }

    /// Counts a pod no longer.
    pub fn take_away(&mut self, key: &Key) {
        if let Some(pod) = self.pods.remove(key) {
            self.requested.add(&pod.requests, -1);
            self.nonzero.add(&pod.nonzero, -1);
        }
    }
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let named = |address: &str| if address.is_empty() { "0.0.0.0" } else { address }.to_owned();
    let ports = pod.spec.iter().flat_map(pod::ports::on_host);
    ports.map(|port| (named(port.host_ip), port.protocol.to_owned(), port.host_port)).collect()
}
