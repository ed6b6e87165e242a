//! Which objects lead to which nodes.
//!
//! A pod leads to its node, what a pod refers to leads where the pod leads, a volume leads where its
//! claim leads, a volume's secrets lead where the volume leads, an attachment leads to its node.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use meta::{Key, Object};

use super::references;

/// What a vertex of the graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Pod,
    Secret,
    ConfigMap,
    Claim,
    ServiceAccount,
    ResourceClaim,
    Volume,
    Attachment,
}

type Vertex = (Kind, Key);

/// What one pod contributes.
struct Pod {
    uid: String,
    node: Arc<str>,
    vertices: Vec<Vertex>,
}

struct Volume {
    claim: Key,
    secrets: Vec<Key>,
}

#[derive(Default)]
pub(super) struct Graph {
    pods: HashMap<Key, Pod>,
    /// Through how many pods an object leads to each node.
    nodes: HashMap<Vertex, HashMap<Arc<str>, usize>>,
    volumes: HashMap<Arc<str>, Volume>,
    /// Which volumes a secret leads to.
    volumes_of_secret: HashMap<Key, BTreeSet<Arc<str>>>,
    attachments: HashMap<Arc<str>, String>,
}

impl Graph {
    pub(super) fn put(&mut self, group: &str, resource: &str, object: &Object) {
        match (group, resource) {
            ("", "pods") => self.put_pod(object),
            ("", "persistentvolumes") => self.put_volume(object),
            ("storage.k8s.io", "volumeattachments") => {
                self.attachments.insert(object.key().name, object.str_at("spec.nodeName").to_owned());
            }
            _ => {}
        }
    }

    pub(super) fn remove(&mut self, group: &str, resource: &str, key: &Key) {
        match (group, resource) {
            ("", "pods") => self.remove_pod(key),
            ("", "persistentvolumes") => self.remove_volume(&key.name),
            ("storage.k8s.io", "volumeattachments") => {
                self.attachments.remove(&key.name);
            }
            _ => {}
        }
    }

    pub(super) fn clear(&mut self, group: &str, resource: &str) {
        match (group, resource) {
            ("", "pods") => {
                self.pods.clear();
                self.nodes.clear();
            }
            ("", "persistentvolumes") => {
                self.volumes.clear();
                self.volumes_of_secret.clear();
            }
            ("storage.k8s.io", "volumeattachments") => self.attachments.clear(),
            _ => {}
        }
    }

    /// Whether the object leads to the node.
    pub(super) fn leads_to(&self, kind: Kind, key: &Key, node: &str) -> bool {
        let by_pod =
            |kind: Kind, key: &Key| self.nodes.get(&(kind, key.clone())).is_some_and(|nodes| nodes.contains_key(node));
        let by_volume = |name: &Arc<str>| self.volumes.get(name).is_some_and(|v| by_pod(Kind::Claim, &v.claim));
        match kind {
            Kind::Volume => by_volume(&key.name),
            Kind::Attachment => self.attachments.get(&key.name).is_some_and(|n| n == node),
            Kind::Secret if !by_pod(kind, key) => {
                self.volumes_of_secret.get(key).is_some_and(|volumes| volumes.iter().any(by_volume))
            }
            _ => by_pod(kind, key),
        }
    }

    fn put_pod(&mut self, object: &Object) {
        let (key, node) = (object.key(), object.str_at("spec.nodeName"));
        if node.is_empty() {
            return;
        }
        let vertices = references::led_by_pod(object);
        let unchanged = |old: &Pod| old.uid == object.uid() && &*old.node == node && old.vertices == vertices;
        if self.pods.get(&key).is_some_and(unchanged) {
            return;
        }
        self.remove_pod(&key);
        let node: Arc<str> = node.into();
        for vertex in &vertices {
            *self.nodes.entry(vertex.clone()).or_default().entry(node.clone()).or_insert(0) += 1;
        }
        self.pods.insert(key, Pod { uid: object.uid().to_owned(), node, vertices });
    }

    fn remove_pod(&mut self, key: &Key) {
        let Some(pod) = self.pods.remove(key) else {
            return;
        };
        for vertex in &pod.vertices {
            let Some(nodes) = self.nodes.get_mut(vertex) else {
                continue;
            };
            if let Some(count) = nodes.get_mut(&pod.node) {
                *count -= 1;
                if *count == 0 {
                    nodes.remove(&pod.node);
                }
            }
            if nodes.is_empty() {
                self.nodes.remove(vertex);
            }
        }
    }

    fn put_volume(&mut self, object: &Object) {
        let name = object.key().name;
        self.remove_volume(&name);
        let claim = Key::new(object.str_at("spec.claimRef.namespace"), object.str_at("spec.claimRef.name"));
        if claim.name.is_empty() {
            return;
        }
        let secrets = references::secrets_of_volume(object);
        for secret in &secrets {
            self.volumes_of_secret.entry(secret.clone()).or_default().insert(name.clone());
        }
        self.volumes.insert(name, Volume { claim, secrets });
    }

    fn remove_volume(&mut self, name: &Arc<str>) {
        let Some(volume) = self.volumes.remove(name) else {
            return;
        };
        for secret in &volume.secrets {
            if let Some(volumes) = self.volumes_of_secret.get_mut(secret) {
                volumes.remove(name);
                if volumes.is_empty() {
                    self.volumes_of_secret.remove(secret);
                }
            }
        }
    }
}
