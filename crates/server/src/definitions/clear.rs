//! The end of a definition: its objects go first (upstream: `pkg/controller/finalizer`).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::SelectAll;
use http::Method;
use meta::{Attributes, Object, Status};
use registry::api::{List, ListOptions, Scope, WatchOptions, WatchStream};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{FINALIZER, PAUSE, conditions, send, write_status};
use crate::server::Server;

/// Deletes the objects of definitions that are to go, each when it can be. Never ends.
pub async fn keep(server: &Server, mut ending: watch::Receiver<Vec<Arc<Object>>>) {
    // By uid: definitions whose objects are marked, all of them. New ones are refused.
    let mut marked = HashSet::new();
    loop {
        let (mut waiting, mut is_done) = (SelectAll::new(), true);
        let now = ending.borrow_and_update().clone();
        marked.retain(|uid| now.iter().any(|definition| definition.uid() == *uid));
        for definition in now {
            match clear(server, &definition, &mut marked).await {
                Ok(changes) => waiting.extend(changes),
                Err(error) => {
                    tracing::warn!(definition = definition.name(), %error, "its objects were not deleted");
                    is_done = false;
                }
            }
        }
        tokio::select! {
            // What follows the definitions lives as long as this.
            changed = ending.changed() => if changed.is_err() { return },
            _ = waiting.next(), if !waiting.is_empty() => {}
            () = sleep(PAUSE), if !is_done => {}
        }
    }
}

/// Deletes the objects of a definition, and when there are none any more lets it go. Returns what happens to those that
/// wait for something.
async fn clear(server: &Server, definition: &Object, marked: &mut HashSet<String>) -> Result<Option<WatchStream>, Status> {
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
    let is_marked = marked.contains(definition.uid());
    let page = list(server, &objects, if is_marked { 1 } else { 0 }).await?;
    if page.items.is_empty() {
        conditions::set(&mut definition, "Terminating", "False", "InstanceDeletionCompleted", "removed all instances");
        return let_go(server, definition).await;
    }
    let (before, uid) = (definition.clone(), definition.uid().to_owned());
    conditions::set(&mut definition, "Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress");
    if definition != before {
        // The write is seen, and looked at again.
        write_status(server, definition).await?;
    }
    if !is_marked {
        let namespaces: BTreeSet<&str> = page.items.iter().map(|item| &*item.key.namespace).collect();
        for namespace in namespaces {
            send(server, Method::DELETE, &collection(&objects, namespace), String::new()).await?;
        }
        marked.insert(uid);
    }
    let options = WatchOptions { resource_version: page.revision.to_string(), ..WatchOptions::default() };
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

/// The objects, or so many of them.
async fn list(server: &Server, objects: &Attributes, limit: usize) -> Result<List, Status> {
    server.0.registry.list(objects, &Scope::default(), &ListOptions { limit, ..ListOptions::default() }).await
}

/// All objects of the definition: in the version that is stored, for which nobody has to be asked, or else in another one
/// that is served.
fn instances(definition: &Object) -> Attributes {
    let versions = definition.list_at("spec.versions");
    let find = |what: &str| versions.iter().find(|version| version[what].as_bool().unwrap_or(false));
    let stored = find("storage");
    let version = stored.filter(|stored| stored["served"] == true).or_else(|| find("served")).or(stored);
    let version = version.and_then(|version| version["name"].as_str());
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
