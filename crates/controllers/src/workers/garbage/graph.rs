//! Who owns whom: all objects by uid, from their metadata.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use meta::names::split_api_version;

use crate::workers::rest::Resource;

/// Holds an object until all dependents that block are gone.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Holds an object until its dependents are orphans.
pub const ORPHAN: &str = "orphan";

/// One object.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub resource: Arc<Resource>,
    /// Its uid.
    pub uid: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its owners.
    pub owners: Vec<OwnerReference>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether its deletion waits for dependents.
    pub foreground: bool,
    /// Whether its deletion leaves dependents behind.
    pub orphan: bool,
}

impl Node {
    fn new(resource: &Arc<Resource>, meta: &ObjectMeta) -> Self {
        let deleting = meta.deletion_timestamp.is_some();
        let held = |by: &str| deleting && meta.finalizers.iter().flatten().any(|f| f == by);
        Node {
            resource: resource.clone(),
            uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            owners: meta.owner_references.clone().unwrap_or_default(),
            deleting,
            foreground: held(FOREGROUND),
            orphan: held(ORPHAN),
        }
    }
}

impl Node {
    /// Whether a reference from a namespace (empty: from a cluster-wide object) means this very object. An owner in
    /// another namespace is none.
    pub fn is_meant(&self, reference: &OwnerReference, from: &str) -> bool {
        let (group, _) = split_api_version(&reference.api_version);
        let namespace = if self.resource.namespaced { from } else { "" };
        let same = self.name == reference.name && self.namespace == namespace;
        same && self.resource.group == group && self.resource.kind == reference.kind
    }
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Whether the object with this uid is to be deleted.
    Examine(String),
    /// The object with this uid is to lose its dependents.
    Orphan(String),
}

/// The graph.
#[derive(Default)]
pub struct Graph {
    nodes: HashMap<String, Node>,
    dependents: HashMap<String, BTreeSet<String>>,
}

impl Graph {
    /// An object.
    pub fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The objects that name this uid among their owners.
    pub fn dependents<'a>(&'a self, uid: &str) -> impl Iterator<Item = (&'a String, &'a Node)> + use<'a> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| Some((uid, self.nodes.get(uid)?)))
    }

    /// The dependents that hold up the foreground deletion of an object.
    pub fn blocking<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = (&'a String, &'a Node)> {
        let blocks = move |node: &Node| node.owners.iter().any(|o| o.uid == uid && o.block_owner_deletion == Some(true));
        self.dependents(uid).filter(move |(_, node)| blocks(node))
    }

    /// Takes in an object as it is now, and tells what to look at for it.
    pub fn observe(&mut self, resource: &Arc<Resource>, meta: &ObjectMeta) -> Vec<Task> {
        let Some(uid) = meta.uid.clone() else { return Vec::new() };
        let node = Node::new(resource, meta);
        let mut tasks = Vec::new();
        let before = self.nodes.get(&uid).map(|old| old.owners.clone());
        if before.as_ref() != Some(&node.owners) {
            for owner in before.iter().flatten() {
                self.unlink(&owner.uid, &uid);
                // An owner that waited for this one may wait no more.
                if self.nodes.get(&owner.uid).is_some_and(|o| o.foreground) {
                    tasks.push(Task::Examine(owner.uid.clone()));
                }
            }
            for owner in &node.owners {
                self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
            }
        }
        if self.needs_examination(&node) {
            tasks.push(Task::Examine(uid.clone()));
        }
        if node.foreground {
            tasks.push(Task::Examine(uid.clone()));
            tasks.extend(self.dependents(&uid).map(|(uid, _)| Task::Examine(uid.clone())));
        }
        if node.orphan {
            tasks.push(Task::Orphan(uid.clone()));
        }
        if !self.nodes.contains_key(&uid) {
            // Those that came before it may mean another.
            let mistaken = |r: &&OwnerReference, from: &str| r.uid == uid && !node.is_meant(r, from);
            let others = self.dependents(&uid).filter(|(_, d)| d.owners.iter().any(|r| mistaken(&r, &d.namespace)));
            tasks.extend(others.map(|(uid, _)| Task::Examine(uid.clone())));
        }
        self.nodes.insert(uid, node);
        tasks
    }

    /// Whether an owner is missing, is another than the reference says, or waits for its dependents to go.
    fn needs_examination(&self, node: &Node) -> bool {
        let doubtful = |r: &OwnerReference| {
            self.nodes.get(&r.uid).is_none_or(|owner| owner.foreground || !owner.is_meant(r, &node.namespace))
        };
        node.owners.iter().any(doubtful)
    }

    /// Takes in the end of an object, and tells what to look at for it.
    pub fn gone(&mut self, uid: &str) -> Vec<Task> {
        let mut tasks: Vec<Task> = self.dependents(uid).map(|(uid, _)| Task::Examine(uid.clone())).collect();
        let Some(node) = self.nodes.remove(uid) else { return tasks };
        for owner in &node.owners {
            self.unlink(&owner.uid, uid);
            if self.nodes.get(&owner.uid).is_some_and(|o| o.foreground) {
                tasks.push(Task::Examine(owner.uid.clone()));
            }
        }
        tasks
    }

    /// The uids of all objects of a resource.
    pub fn of_resource(&self, resource: &Resource) -> Vec<String> {
        self.nodes.iter().filter(|(_, node)| *node.resource == *resource).map(|(uid, _)| uid.clone()).collect()
    }

    fn unlink(&mut self, owner: &str, uid: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(uid);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }
}
