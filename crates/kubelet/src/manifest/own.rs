//! What the agent makes of a file's pod (upstream: `config/common.go: applyDefaults`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Toleration};
use serde_json::Value;

use super::{Reader, references};
use crate::spec;

/// Where a pod comes from (upstream: `kubetypes.ConfigSourceAnnotationKey` and its like).
pub const SOURCE: &str = "kubernetes.io/config.source";
/// What its file says, as a number.
pub const HASH: &str = "kubernetes.io/config.hash";
/// When its file was seen first.
pub const SEEN: &str = "kubernetes.io/config.seen";
/// On the object that shows it in the API: the same number.
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// Above all that the API gives: everybody gives way to a static pod, and it to nobody (upstream: `IsCriticalPod`,
/// `Preemptable`). Annotations would not do to know it by, since anybody can write them.
const PRIORITY: i32 = 2_100_000_000;

/// One static pod.
#[derive(Clone, Debug)]
pub struct Static {
    /// As it runs.
    pub pod: Arc<Pod>,
    /// As the API is to show it, but for its owner.
    pub shown: Arc<Pod>,
}

impl Static {
    /// Whether both are the same but for when they were seen.
    pub fn is_same(&self, other: &Static) -> bool {
        let still = |pod: &Pod| {
            let mut pod = pod.clone();
            pod.metadata.annotations.get_or_insert_default().remove(SEEN);
            pod
        };
        still(&self.shown) == still(&other.shown)
    }
}

/// The pod of a file, and what of the file it has no field for.
pub fn read(text: &str, path: &Path, reader: &Reader, node: &str) -> Result<(Static, Vec<String>), String> {
    let tree = (reader.parse)(text)?;
    if tree["kind"] != "Pod" || tree["apiVersion"] != "v1" {
        return Err(format!("invalid pod: apiVersion {} and kind {} are none of a Pod's", tree["apiVersion"], tree["kind"]));
    }
    let (mut pod, unknown) = (reader.decode)(&tree)?;
    if spec::name(&pod).is_empty() {
        return Err("invalid pod: name is needed for the pod".to_owned());
    }
    claim(&mut pod, &tree, path, node);
    (reader.check)(&pod).map_err(|why| format!("invalid pod: {why}"))?;
    if let Some(what) = references::of(&pod) {
        return Err(format!("static pods may not reference {what}"));
    }
    let shown = Arc::new(pod.clone());
    pod.spec.get_or_insert_default().priority = Some(PRIORITY);
    Ok((Static { pod: Arc::new(pod), shown }, unknown))
}

/// Makes it a pod of this node.
fn claim(pod: &mut Pod, tree: &Value, path: &Path, node: &str) {
    let uid = pod.metadata.uid.take().filter(|uid| !uid.is_empty()).unwrap_or_else(|| hash(tree, path, node));
    let metadata = &mut pod.metadata;
    metadata.name = Some(format!("{}-{}", metadata.name.as_deref().unwrap_or_default(), node.to_lowercase()));
    metadata.namespace.get_or_insert_default();
    if metadata.namespace.as_deref() == Some("") {
        metadata.namespace = Some("default".to_owned());
    }
    // What only a server gives, a file does not have.
    (metadata.resource_version, metadata.generation, metadata.creation_timestamp) = (None, None, None);
    (metadata.deletion_timestamp, metadata.deletion_grace_period_seconds, metadata.finalizers) = (None, None, None);
    (metadata.owner_references, metadata.managed_fields, metadata.generate_name) = (None, None, None);
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.remove(MIRROR);
    annotations.insert(HASH.to_owned(), uid.clone());
    annotations.insert(SEEN.to_owned(), Timestamp::now().to_string());
    annotations.insert(SOURCE.to_owned(), "file".to_owned());
    metadata.uid = Some(uid);
    pod.status = None;
    let spec = pod.spec.get_or_insert_default();
    spec.node_name = Some(node.to_owned());
    // Trouble of the node drives it nowhere: there is no other for it.
    let stays = Toleration { operator: Some("Exists".into()), effect: Some("NoExecute".into()), ..Toleration::default() };
    let tolerations = spec.tolerations.get_or_insert_default();
    if !tolerations.contains(&stays) {
        tolerations.push(stays);
    }
}

/// A number for what a file says, where it is and whose it is: 32 digits. Comments and the order of fields do not count.
fn hash(tree: &Value, path: &Path, node: &str) -> String {
    let mut context = Context::new(&SHA256);
    feed(tree, &mut context);
    context.update(format!("host:{node}file:").as_bytes());
    context.update(path.as_os_str().as_encoded_bytes());
    context.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn feed(value: &Value, context: &mut Context) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            context.update(format!("{{{}:", sorted.len()).as_bytes());
            for (key, value) in sorted {
                context.update(Value::from(key.as_str()).to_string().as_bytes());
                feed(value, context);
            }
        }
        Value::Array(list) => {
            context.update(format!("[{}:", list.len()).as_bytes());
            list.iter().for_each(|value| feed(value, context));
        }
        plain => context.update(plain.to_string().as_bytes()),
    }
}

/// Takes out all but the first of those that would have one name. The files that went, with the name.
pub fn remove_doubles(found: &mut BTreeMap<PathBuf, Static>) -> Vec<(PathBuf, String)> {
    let mut taken: BTreeMap<(String, String), PathBuf> = BTreeMap::new();
    let mut uids = std::collections::BTreeSet::new();
    let mut doubles = Vec::new();
    for (path, one) in found.iter() {
        let name = (spec::namespace(&one.pod).to_owned(), spec::name(&one.pod).to_owned());
        if taken.contains_key(&name) || !uids.insert(spec::uid(&one.pod).to_owned()) {
            doubles.push((path.clone(), name.1));
        } else {
            taken.insert(name, path.clone());
        }
    }
    doubles.iter().for_each(|(path, _)| drop(found.remove(path)));
    doubles
}
