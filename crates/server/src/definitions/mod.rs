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
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use kinds::Descriptor;
use meta::{Attributes, Object, Reason, Status};
use registry::api::{ListOptions, Scope, WatchOptions, WatchStream};
use tasks::Tasks;
use tokio::sync::watch;
use tokio::time::{Duration, sleep, timeout};
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

/// Serves what the definitions say, and follows them in named tasks: one for what is served, and one for what is to go,
/// whose objects may take their time.
pub async fn follow(server: &Server, tasks: &Tasks) -> Result<(), Status> {
    let mut follower = Follower::default();
    drop(follower.round(server).await?);
    let ending = follower.ending.subscribe();
    let (own, follower) = (server.clone(), Arc::new(tokio::sync::Mutex::new(follower)));
    tasks.keep("custom resource definitions", move |_| {
        let (server, follower) = (own.clone(), follower.clone());
        async move { follower.lock().await.keep(&server).await }.instrument(tracing::debug_span!("definitions"))
    });
    let server = server.clone();
    tasks.keep("the ends of custom resource definitions", move |_| {
        let (server, ending) = (server.clone(), ending.clone());
        async move { clear::keep(&server, ending).await }.instrument(tracing::debug_span!("definitions"))
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
    /// Those that are to go.
    ending: watch::Sender<Vec<Arc<Object>>>,
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
                Ok((mut changes, true)) => drop(changes.next().await),
                // Others are followed meanwhile.
                Ok((mut changes, false)) => drop(timeout(PAUSE, changes.next()).await),
                Err(error) => {
                    tracing::warn!(%error, "the custom resource definitions were not followed");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// One look: statuses, kinds, those that are to go. Returns what happens next, and whether all could be done.
    async fn round(&mut self, server: &Server) -> Result<(WatchStream, bool), Status> {
        let revision = self.read(server).await?;
        let is_settled = self.settle(server).await;
        self.serve(server).await?;
        let ending: Vec<Arc<Object>> = self.known.values().map(|(_, known)| known).filter(|known| is_ending(known)).cloned().collect();
        self.ending.send_if_modified(|told| {
            let is_same = told.len() == ending.len() && told.iter().zip(&ending).all(|(a, b)| Arc::ptr_eq(a, b));
            *told = ending;
            !is_same
        });
        let options = WatchOptions { resource_version: revision.to_string(), ..WatchOptions::default() };
        let changes = server.0.registry.watch(&attributes(), Scope::default(), options).await?;
        Ok((changes, is_settled))
    }

    /// Looks at what changed.
    async fn read(&mut self, server: &Server) -> Result<u64, Status> {
        let page = server.0.registry.list(&attributes(), &Scope::default(), &ListOptions::default()).await?;
        let mut old = std::mem::take(&mut self.known);
        for item in &page.items {
            let name = item.key.name.to_string();
            let before = old.remove(&name);
            if let Some((revision, definition)) = &before
                && *revision == item.revision
            {
                self.known.insert(name, (*revision, definition.clone()));
                continue;
            }
            before.iter().for_each(|(_, before)| self.taken.remove(before));
            // What cannot be read is told where it is read, and keeps nobody else from being served.
            if let Ok(now) = item.object().map(Arc::new) {
                self.taken.add(&now);
                self.known.insert(name, (item.revision, now));
            }
        }
        for (name, (_, gone)) in old {
            self.taken.remove(&gone);
            self.settled.remove(&name);
        }
        Ok(page.revision)
    }

    /// Writes the statuses that are not as they should be; says whether all were. The older definition gets a name that
    /// two want.
    async fn settle(&mut self, server: &Server) -> bool {
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
            self.replace(revision, settled.clone());
            writes.push((definition, settled));
        }
        let writes = futures::stream::iter(writes).map(async |(before, settled)| {
            let written = write_status(server, (*settled).clone()).await;
            written.map_err(|error| (before, error))
        });
        let failed: Vec<_> = writes.buffer_unordered(AT_ONCE).filter_map(async |written| written.err()).collect().await;
        for (before, error) in &failed {
            tracing::warn!(definition = before.name(), %error, "its status was not written");
            // It is as it was, and looked at again.
            self.replace(0, before.clone());
        }
        failed.is_empty()
    }

    /// Has another state of a definition.
    fn replace(&mut self, revision: u64, definition: Arc<Object>) {
        let before = self.known.insert(definition.name().to_owned(), (revision, definition.clone()));
        before.iter().for_each(|(_, before)| self.taken.remove(before));
        self.taken.add(&definition);
    }

    /// Tells the registry which kinds there are.
    async fn serve(&mut self, server: &Server) -> Result<(), Status> {
        let mut changes: Vec<(Arc<str>, Vec<Descriptor>)> = Vec::new();
        let (mut fresh, mut gone) = (Vec::new(), Vec::new());
        let is_established = |definition: &Object| conditions::is_true(definition, "Established");
        for (name, (_, definition)) in self.known.iter().filter(|(_, (_, definition))| is_established(definition)) {
            let (before, wanted) = (self.served.get(name), Served::of(definition));
            // What is built in is served as it is, whatever a definition says.
            if before.is_some_and(|(_, has)| *has == wanted) || clear::is_built_in(server, definition) {
                continue;
            }
            match kinds::custom::descriptors(definition) {
                Ok(kinds) => {
                    let prefix: Arc<str> = kinds.first().map_or_else(|| "".into(), |kind| kind.storage.clone());
                    fresh.push((name.clone(), (prefix.clone(), wanted)));
                    changes.push((prefix, kinds));
                }
                Err(error) => {
                    tracing::error!(definition = %name, error, "its objects cannot be served");
                    gone.extend(before.map(|_| name.clone()));
                }
            }
        }
        let is_gone = |name: &&String| !self.known.get(*name).is_some_and(|(_, definition)| is_established(definition));
        gone.extend(self.served.keys().filter(is_gone).cloned());
        changes.extend(gone.iter().filter_map(|name| Some((self.served.get(name)?.0.clone(), Vec::new()))));
        if changes.is_empty() {
            return Ok(());
        }
        server.0.registry.serve(changes).await.map_err(|error| Status::internal(error.to_string()))?;
        gone.iter().for_each(|name| drop(self.served.remove(name)));
        self.served.extend(fresh);
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
