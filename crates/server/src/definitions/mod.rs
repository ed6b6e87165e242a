//! CustomResourceDefinitions: what they say is served. One loop follows them all; it decides by pure functions
//! ([`names`], [`conditions`], `kinds::custom`), writes their status through the API like everybody else, and tells the
//! registry which kinds there are (upstream: the controllers of `apiextensions-apiserver`, and its handler).

mod clear;
mod conditions;
mod names;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use auth::identity;
use futures::StreamExt;
use futures::stream::SelectAll;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use kinds::Descriptor;
use meta::{Attributes, Object, Reason, Status};
use registry::api::{ListOptions, Scope, WatchOptions, WatchStream};
use tasks::Tasks;
use tokio::time::{Duration, sleep};
use tracing::Instrument;

use crate::server::Server;
use names::Taken;

const API_VERSION: &str = "apiextensions.k8s.io/v1";
const RESOURCE: &str = "customresourcedefinitions";
/// What keeps a definition until its objects are gone.
const FINALIZER: &str = kinds::kinds::customresourcedefinition::FINALIZER;
/// Who writes the status: upstream's name.
const MANAGER: &str = "kube-apiserver";
/// After a look that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Statuses written at once: they share the store's syncs.
const AT_ONCE: usize = 32;

/// Serves what the definitions say, and follows them in a named task.
pub async fn follow(server: &Server, tasks: &Tasks) -> Result<(), Status> {
    let mut follower = Follower::default();
    drop(follower.round(server).await?);
    let (server, follower) = (server.clone(), Arc::new(tokio::sync::Mutex::new(follower)));
    tasks.keep("custom resource definitions", move |_| {
        let (server, follower) = (server.clone(), follower.clone());
        async move { follower.lock().await.keep(&server).await }.instrument(tracing::debug_span!("definitions"))
    });
    Ok(())
}

/// What is known of the definitions.
#[derive(Default)]
struct Follower {
    /// By name: a revision, and the definition at it.
    known: BTreeMap<String, (u64, Arc<Object>)>,
    /// The names that they have.
    taken: Taken,
    /// By name: the revision at which the status was as it should be.
    settled: HashMap<String, u64>,
    /// By name: the storage prefix, and what was told the registry.
    served: HashMap<String, (Arc<str>, Served)>,
}

/// What of a definition decides how its objects are served.
#[derive(PartialEq)]
struct Served {
    generation: i64,
    uid: String,
    names: Option<serde_json::Value>,
    terminating: bool,
    deleted: bool,
}

impl Follower {
    /// Never ends.
    async fn keep(&mut self, server: &Server) {
        loop {
            match self.round(server).await {
                Ok(mut changes) => {
                    changes.next().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the custom resource definitions were not followed");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// One look: statuses, kinds, deletions. Returns what happens next.
    async fn round(&mut self, server: &Server) -> Result<SelectAll<WatchStream>, Status> {
        let revision = self.read(server).await?;
        self.settle(server).await?;
        self.serve(server).await?;
        let mut changes = SelectAll::new();
        let ending = self.known.values().filter(|(_, definition)| is_ending(definition));
        for definition in ending.map(|(_, definition)| definition.clone()).collect::<Vec<_>>() {
            changes.extend(clear::clear(server, &definition).await?);
        }
        let options = WatchOptions { resource_version: revision.to_string(), ..WatchOptions::default() };
        changes.push(server.0.registry.watch(&attributes(), Scope::default(), options).await?);
        Ok(changes)
    }

    /// Looks at what changed.
    async fn read(&mut self, server: &Server) -> Result<u64, Status> {
        let page = server.0.registry.list(&attributes(), &Scope::default(), &ListOptions::default()).await?;
        let mut old = std::mem::take(&mut self.known);
        for item in &page.items {
            let name = item.key.name.to_string();
            let known = match old.remove(&name) {
                Some((revision, definition)) if revision == item.revision => definition,
                before => {
                    let now = Arc::new(item.object()?);
                    before.iter().for_each(|(_, before)| self.taken.remove(before));
                    self.taken.add(&now);
                    now
                }
            };
            self.known.insert(name, (item.revision, known));
        }
        for (name, (_, gone)) in old {
            self.taken.remove(&gone);
            self.settled.remove(&name);
        }
        Ok(page.revision)
    }

    /// Writes the statuses that are not as they should be. The older definition gets a name that two want.
    async fn settle(&mut self, server: &Server) -> Result<(), Status> {
        let age = |definition: &Object| (definition.str_at("metadata.creationTimestamp").to_owned(), definition.name().to_owned());
        // Whoever wants another's name asks again whenever anything happens.
        let is_open = |(name, (revision, definition)): &(&String, &(u64, Arc<Object>))| {
            self.settled.get(*name) != Some(revision) || !conditions::is_true(definition, "NamesAccepted")
        };
        let mut order: Vec<(u64, Arc<Object>)> = self.known.iter().filter(is_open).map(|(_, known)| known.clone()).collect();
        order.sort_by_cached_key(|(_, definition)| age(definition));
        let mut writes = Vec::new();
        for (revision, definition) in order {
            let settled = names::settled(&definition, &self.taken);
            if settled == *definition {
                self.settled.insert(definition.name().to_owned(), revision);
                continue;
            }
            let settled = Arc::new(settled);
            self.taken.remove(&definition);
            self.taken.add(&settled);
            if let Some((_, known)) = self.known.get_mut(definition.name()) {
                *known = settled.clone();
            }
            writes.push(settled);
        }
        let writes = futures::stream::iter(writes).map(|definition| write_status(server, (*definition).clone()));
        let results: Vec<_> = writes.buffer_unordered(AT_ONCE).collect().await;
        results.into_iter().collect()
    }

    /// Tells the registry which kinds there are.
    async fn serve(&mut self, server: &Server) -> Result<(), Status> {
        let mut changes: Vec<(Arc<str>, Vec<Descriptor>)> = Vec::new();
        let mut served = HashMap::new();
        // What is built in is served as it is, whatever a definition says.
        let is_served = |definition: &Object| {
            conditions::is_true(definition, "Established") && !clear::is_built_in(server, definition)
        };
        for (name, (_, definition)) in self.known.iter().filter(|(_, (_, definition))| is_served(definition)) {
            let wanted = Served::of(definition);
            match self.served.remove(name) {
                Some((prefix, has)) if has == wanted => drop(served.insert(name.clone(), (prefix, has))),
                before => match kinds::custom::descriptors(definition) {
                    Ok(kinds) => {
                        let prefix = kinds.first().map_or_else(|| "".into(), |kind| kind.storage.clone());
                        served.insert(name.clone(), (prefix.clone(), wanted));
                        changes.push((prefix, kinds));
                    }
                    Err(error) => {
                        tracing::error!(definition = %name, error, "its objects cannot be served");
                        changes.extend(before.map(|(prefix, _)| (prefix, Vec::new())));
                    }
                },
            }
        }
        changes.extend(self.served.drain().map(|(_, (prefix, _))| (prefix, Vec::new())));
        self.served = served;
        if !changes.is_empty() {
            server.0.registry.serve(changes).await.map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(())
    }
}

impl Served {
    fn of(definition: &Object) -> Served {
        Served {
            generation: definition.generation(),
            uid: definition.uid().to_owned(),
            names: definition.at("status.acceptedNames").cloned(),
            terminating: conditions::is_true(definition, "Terminating"),
            deleted: definition.deletion_timestamp().is_some(),
        }
    }
}

/// Whether its objects are to go, and it with them.
fn is_ending(definition: &Object) -> bool {
    definition.deletion_timestamp().is_some() && definition.finalizers().any(|name| name == FINALIZER)
}

fn attributes() -> Attributes {
    let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
    Attributes {
        verb: "list".to_owned(),
        group: group.to_owned(),
        version: version.to_owned(),
        resource: RESOURCE.to_owned(),
        ..Attributes::default()
    }
}

/// Writes the status of a definition, and its finalizers.
async fn write_status(server: &Server, definition: Object) -> Result<(), Status> {
    let uri = format!("/apis/{API_VERSION}/{RESOURCE}/{}/status", definition.name());
    send(server, Method::PUT, &uri, definition.into_value().to_string()).await
}

/// Sends a request. What somebody else did in the same moment is no error: the next look sees it.
async fn send(server: &Server, method: Method, uri: &str, body: String) -> Result<(), Status> {
    let request = Request::builder().method(method).uri(uri).header("content-type", "application/json").header("user-agent", MANAGER);
    let request = request.body(transport::full(body)).map_err(Status::internal)?;
    let answer = server.transport_as(identity::api_server()).send(request).await.map_err(Status::internal)?;
    match answer.status() {
        code if code.is_success() => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => Ok(()),
        code => {
            let body = answer.into_body().collect().await.map_err(Status::internal)?.to_bytes();
            let said = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
            let why = said["message"].as_str().unwrap_or_default();
            Err(Status::new(Reason::InternalError, format!("{uri}: {code}: {why}")))
        }
    }
}
