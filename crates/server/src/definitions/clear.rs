//! The end of a definition: its objects go first (upstream: `pkg/controller/finalizer`).

use std::collections::BTreeSet;

use http::Method;
use meta::{Attributes, Object, Status};
use registry::api::{ListOptions, Scope, WatchOptions, WatchStream};
use serde_json::Value;

use super::{FINALIZER, conditions, send, write_status};
use crate::server::Server;

/// Deletes the objects of a definition, and when there are none any more lets it go. Returns what happens to those that
/// wait for something.
pub async fn clear(server: &Server, definition: &Object) -> Result<Option<WatchStream>, Status> {
    let mut definition = definition.clone();
    if is_built_in(server, &definition) {
        let why = "instances overlap with built-in resources in storage";
        conditions::set(&mut definition, "Terminating", "False", "OverlappingBuiltInResource", why);
        return let_go(server, definition).await;
    }
    if !conditions::is_true(&definition, "Established") {
        conditions::set(&mut definition, "Terminating", "False", "NeverEstablished", "resource was never established");
        return let_go(server, definition).await;
    }
    let objects = instances(&definition);
    let (left, revision) = list(server, &objects).await?;
    if left.is_empty() {
        conditions::set(&mut definition, "Terminating", "False", "InstanceDeletionCompleted", "removed all instances");
        return let_go(server, definition).await;
    }
    let before = definition.clone();
    conditions::set(&mut definition, "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress");
    if definition != before {
        // The write is seen, and looked at again.
        write_status(server, definition).await?;
    }
    for (namespace, is_marked) in left {
        if !is_marked {
            send(server, Method::DELETE, &collection(&objects, &namespace), String::new()).await?;
        }
    }
    let options = WatchOptions { resource_version: revision.to_string(), ..WatchOptions::default() };
    server.0.registry.watch(&objects, Scope::default(), options).await.map(Some)
}

/// Whether its resource is one that is built in: those objects are not its own.
pub fn is_built_in(server: &Server, definition: &Object) -> bool {
    let (group, plural) = (definition.str_at("spec.group"), definition.str_at("spec.names.plural"));
    let kinds = server.0.registry.kinds();
    kinds.iter().any(|kind| !kind.is_custom() && *kind.gvk.group == *group && *kind.resource == *plural)
}

async fn let_go(server: &Server, mut definition: Object) -> Result<Option<WatchStream>, Status> {
    let left: Vec<Value> = definition.finalizers().filter(|name| *name != FINALIZER).map(Value::from).collect();
    match left.is_empty() {
        true => drop(definition.remove("metadata.finalizers")),
        false => definition.set("metadata.finalizers", left),
    }
    write_status(server, definition).await?;
    Ok(None)
}

/// Namespaces in which there are objects, and whether all there are marked for deletion already.
async fn list(server: &Server, objects: &Attributes) -> Result<(BTreeSet<(String, bool)>, u64), Status> {
    let page = server.0.registry.list(objects, &Scope::default(), &ListOptions::default()).await?;
    let mut left = BTreeSet::new();
    for item in &page.items {
        let marked = item.object()?.deletion_timestamp().is_some();
        left.insert((item.key.namespace.to_string(), marked));
    }
    Ok((left, page.revision))
}

/// All objects of the definition, in a version that is served, or else in the one that is stored.
fn instances(definition: &Object) -> Attributes {
    let versions = definition.list_at("spec.versions");
    let find = |what: &str| versions.iter().find(|version| version[what].as_bool().unwrap_or(false));
    let version = find("served").or_else(|| find("storage")).and_then(|version| version["name"].as_str());
    Attributes {
        verb: "list".to_owned(),
        group: definition.str_at("spec.group").to_owned(),
        version: version.unwrap_or_default().to_owned(),
        resource: definition.str_at("status.acceptedNames.plural").to_owned(),
        ..Attributes::default()
    }
}

fn collection(objects: &Attributes, namespace: &str) -> String {
    let base = format!("/apis/{}/{}", objects.group, objects.version);
    match namespace {
        "" => format!("{base}/{}", objects.resource),
        namespace => format!("{base}/namespaces/{namespace}/{}", objects.resource),
    }
}
