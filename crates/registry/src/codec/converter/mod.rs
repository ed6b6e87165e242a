//! Conversion by a webhook (upstream: `apiextensions-apiserver/pkg/apiserver/conversion`). A revision of an object is
//! converted once for each version, whoever asks: what was made is a form of the object like others, and whoever comes
//! while it is being made waits for the same answer. Objects go in batches, and a batch goes on when its reader is gone.
//!
//! A webhook that fails is told to those who ask for that version. Nothing is locked while it is waited for.

mod flights;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use admission::Call;
use kinds::Descriptor;
use kinds::custom::conversion::{Conversion, failed};
use meta::{Codec, Encoded, Gvk, Object, Reason, Status, limits};
use schema::Schema;
use tokio::sync::Semaphore;

use super::{Stored, Warm};
use crate::long;
use flights::{Flights, Wait};

/// Calls webhooks, once the server is put together.
pub(crate) type Calls = Arc<OnceLock<Arc<dyn Call>>>;

/// Converts the objects of one definition.
pub(crate) struct Converter {
    conversion: Arc<Conversion>,
    /// The version that is stored.
    hub: Gvk,
    /// By `apiVersion`.
    versions: HashMap<String, Version>,
    calls: Calls,
    turns: Semaphore,
    flights: Flights,
}

struct Version {
    /// Of what is stored in this version.
    stored: Arc<Stored>,
    /// Of what was converted into it.
    shown: Arc<Stored>,
}

impl Converter {
    /// That of a kind whose versions are these, the stored one first; `None`: nobody has to be called.
    pub fn new(versions: &[&Descriptor], warm: &Arc<Warm>, calls: &Calls) -> Option<Arc<Self>> {
        let hub = versions.first()?;
        let conversion = hub.rules.conversion()?.clone();
        let made = |descriptor: &&Descriptor| {
            let stored = Stored::new(descriptor, warm.clone());
            let shown = Arc::new(stored.unfilled());
            (descriptor.gvk.api_version(), Version { stored, shown })
        };
        Some(Arc::new(Converter {
            conversion,
            hub: hub.gvk.clone(),
            versions: versions.iter().map(made).collect(),
            calls: calls.clone(),
            turns: Semaphore::new(limits::CONVERSIONS),
            flights: Flights::default(),
        }))
    }

    /// The objects in a version, in their order. As many as may be on their way at once are: others have their turns too, and
    /// nothing is done for who has failed.
    pub async fn shown(self: &Arc<Self>, to: &Gvk, hubs: &[Arc<Encoded>]) -> Result<Vec<Arc<Encoded>>, Status> {
        let mut shown = Vec::with_capacity(hubs.len());
        for part in hubs.chunks(limits::CONVERSIONS * limits::CONVERTED) {
            shown.extend(self.shown_at_once(to, part).await?);
        }
        Ok(shown)
    }

    async fn shown_at_once(self: &Arc<Self>, to: &Gvk, hubs: &[Arc<Encoded>]) -> Result<Vec<Arc<Encoded>>, Status> {
        let at_hand: Result<Vec<_>, Status> = hubs.iter().map(|hub| self.at_hand(to, hub)).collect();
        let mut shown = at_hand?;
        loop {
            let waits = self.board(to, hubs, &mut shown);
            if waits.is_empty() {
                return Ok(shown.into_iter().flatten().collect());
            }
            for Wait { index, place, own } in waits {
                match place.flight.await {
                    Ok(list) => shown[index] = list.get(place.at).cloned(),
                    // Another object of another reader's batch may be what it failed for.
                    Err(_) if !own && place.of > 1 => {}
                    Err(status) => return Err(status),
                }
            }
        }
    }

    /// An object in a version, if nobody has to be asked for it.
    fn at_hand(&self, to: &Gvk, hub: &Arc<Encoded>) -> Result<Option<Arc<Encoded>>, Status> {
        let is = super::version_of(hub.stored());
        let version = self.versions.get(&is).ok_or_else(|| unknown(&is))?;
        if is != to.api_version() {
            return Ok(hub.known(to));
        }
        if *to == self.hub {
            return Ok(Some(hub.clone()));
        }
        let make = || Ok(Arc::new(Encoded::new(hub.key.clone(), hub.revision, hub.stored().clone(), version.stored.clone())));
        hub.version(to, make).map(Some)
    }

    async fn carry(&self, to: &Gvk, hubs: &[Arc<Encoded>]) -> Result<Arc<[Arc<Encoded>]>, Status> {
        let bytes = hubs.iter().map(|hub| hub.stored().len()).sum();
        let Some(first) = hubs.first() else { return Ok(Arc::default()) };
        let of = self.version_of(first)?.stored.gvk();
        // Those that wait for their turn take no memory.
        let read = || long::steps(bytes, || hubs.iter().map(|hub| self.read(hub)).collect::<Result<Vec<_>, _>>());
        let converted = self.in_time(of, to, read).await?;
        let version = self.version(to)?;
        long::steps(bytes, || {
            let made = hubs.iter().zip(converted).map(|(hub, object)| {
                let mut object = version.shown.fitted(object)?;
                object.set("metadata.resourceVersion", hub.revision.to_string());
                let shown = version.shown.encode(hub, &object);
                hub.version(to, || Ok(shown))
            });
            made.collect()
        })
    }

    /// An object in the version in which it was stored, without a revision.
    fn read(&self, hub: &Arc<Encoded>) -> Result<Object, Status> {
        let tree = self.version_of(hub)?.stored.tree(hub);
        let mut tree = tree.ok_or_else(|| Status::internal(format!("unreadable stored object: {}", hub.key)))?;
        tree.remove("metadata.resourceVersion");
        Ok(tree)
    }

    /// Objects as they are in a version, and its fields; `None`: there is no such version any more.
    pub async fn at(&self, api_version: &str, objects: Vec<Object>) -> Result<Option<(Schema, Vec<Object>)>, Status> {
        let Some(version) = self.versions.get(api_version) else { return Ok(None) };
        let (mut there, mut asked) = (Vec::with_capacity(objects.len()), Vec::new());
        for object in objects {
            let is_there = object.api_version() == api_version;
            there.push(is_there.then(|| object.clone()));
            asked.extend((!is_there).then_some(object));
        }
        let converted = if asked.is_empty() { Vec::new() } else { self.convert(asked, version.shown.gvk()).await? };
        let mut converted = converted.into_iter().map(|object| version.shown.fitted(object));
        let all: Result<Vec<Object>, Status> =
            there.into_iter().map(|object| object.map_or_else(|| converted.next().unwrap_or_else(|| Ok(Object::default())), Ok)).collect();
        Ok(Some((version.shown.schema().clone(), all?)))
    }

    /// An object as it is to be stored.
    pub async fn to_stored(&self, object: &Object) -> Result<Object, Status> {
        let mut object = object.clone();
        if object.api_version() == self.hub.api_version() {
            return Ok(object);
        }
        let revision = object.remove("metadata.resourceVersion");
        let converted = self.convert(vec![object], &self.hub).await?.pop();
        let mut stored = self.version(&self.hub)?.stored.fitted(converted.unwrap_or_default())?;
        if let Some(revision) = revision {
            stored.set("metadata.resourceVersion", revision);
        }
        Ok(stored)
    }

    async fn convert(&self, objects: Vec<Object>, to: &Gvk) -> Result<Vec<Object>, Status> {
        let of = objects.first().map_or_else(|| to.clone(), Object::gvk);
        self.in_time(&of, to, || Ok(objects)).await
    }

    /// Converts objects of a kind when it is their turn.
    async fn in_time(&self, of: &Gvk, to: &Gvk, objects: impl FnOnce() -> Result<Vec<Object>, Status>) -> Result<Vec<Object>, Status> {
        // Upstream's answers carry no reason.
        let refuse = |why: String| Status::new(Reason::Unknown, why);
        let work = async {
            let _turn = self.turns.acquire().await.map_err(|closed| refuse(failed(of, &closed.to_string())))?;
            let objects = objects()?;
            self.ask(&objects, of, to).await.map_err(refuse)
        };
        let done = tokio::time::timeout(limits::CONVERSION, work).await;
        done.unwrap_or_else(|_| {
            let url = format!("{}?timeout={}s", self.conversion.client.url(), limits::CONVERSION.as_secs());
            let why = format!("Post {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
            Err(refuse(failed(of, &why)))
        })
    }

    async fn ask(&self, objects: &[Object], of: &Gvk, to: &Gvk) -> Result<Vec<Object>, String> {
        let call = self.calls.get().ok_or_else(|| failed(of, "no webhooks are called here"))?;
        let uid = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
        let body = self.conversion.request(objects, to, &uid)?.to_string();
        let bytes = body.len();
        let answer = call.post(&self.conversion.client, body.into(), limits::CONVERSION).await.map_err(|why| failed(of, &why))?;
        long::steps(bytes.max(answer.len()), || {
            let (review, _) = schema::json_tree(&answer).map_err(|why| failed(of, &why))?;
            self.conversion.answer(objects, to, &uid, review)
        })
    }

    /// The version in which an object is stored.
    fn version_of(&self, hub: &Encoded) -> Result<&Version, Status> {
        let is = super::version_of(hub.stored());
        self.versions.get(&is).ok_or_else(|| unknown(&is))
    }

    fn version(&self, gvk: &Gvk) -> Result<&Version, Status> {
        self.versions.get(&gvk.api_version()).ok_or_else(|| unknown(&gvk.api_version()))
    }

}

/// What was stored in a version that the definition has no more.
fn unknown(api_version: &str) -> Status {
    Status::new(Reason::Unknown, format!("request to convert CR from an invalid group/version: {api_version}"))
}
