//! Conversion by a webhook (upstream: `apiextensions-apiserver/pkg/apiserver/conversion`). A revision of an object is
//! converted once for each version, whoever asks: what was made is a form of the object like others, and whoever comes
//! while it is being made waits for the same answer. Objects go in batches, and a batch goes on when its reader is gone.
//!
//! A webhook that fails is told to those who ask for that version. Nothing is locked while it is waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use admission::Call;
use futures::future::{BoxFuture, FutureExt, Shared};
use kinds::Descriptor;
use kinds::custom::conversion::{Conversion, failed};
use meta::{Codec, Encoded, Gvk, Key, Object, Reason, Status, limits};
use schema::Schema;
use tokio::sync::{Semaphore, oneshot};

use super::{Stored, Warm};
use crate::long;

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
    flights: Mutex<HashMap<Id, Place>>,
}

struct Version {
    /// Of what is stored in this version.
    stored: Arc<Stored>,
    /// Of what was converted into it.
    shown: Arc<Stored>,
}

/// A revision of an object, and the version that is wanted.
type Id = (Key, u64, Gvk);

/// What comes of a batch.
type Flight = Shared<BoxFuture<'static, Result<Arc<[Arc<Encoded>]>, Status>>>;

/// Where in which batch an object is.
#[derive(Clone)]
struct Place {
    flight: Flight,
    at: usize,
    /// Objects in the batch.
    of: usize,
}

/// An object that is waited for.
struct Wait {
    /// Which of those that were asked for.
    index: usize,
    place: Place,
    /// Whether the batch was made for this reader.
    own: bool,
}

/// A batch that is to go.
struct Batch {
    hubs: Vec<Arc<Encoded>>,
    tell: oneshot::Sender<Result<Arc<[Arc<Encoded>]>, Status>>,
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
            flights: Mutex::default(),
        }))
    }

    /// The objects in a version, in their order.
    pub async fn shown(self: &Arc<Self>, to: &Gvk, hubs: &[Arc<Encoded>]) -> Result<Vec<Arc<Encoded>>, Status> {
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

    /// Finds what is known by now, joins what is on its way, and sends off the rest.
    fn board(self: &Arc<Self>, to: &Gvk, hubs: &[Arc<Encoded>], shown: &mut [Option<Arc<Encoded>>]) -> Vec<Wait> {
        let (mut waits, mut fresh) = (Vec::new(), Vec::new());
        let mut batches = Vec::new();
        let mut flights = self.flights();
        for (index, hub) in hubs.iter().enumerate().filter(|(index, _)| shown[*index].is_none()).collect::<Vec<_>>() {
            // What has landed is a form before it is no flight any more.
            match flights.get(&id(hub, to)) {
                Some(place) => waits.push(Wait { index, place: place.clone(), own: false }),
                None => match hub.known(to) {
                    Some(known) => shown[index] = Some(known),
                    None => fresh.push(index),
                },
            }
        }
        for part in parts(&fresh, hubs) {
            let (tell, told) = oneshot::channel();
            let told = told.map(|told| told.unwrap_or_else(|_| Err(Status::internal("the conversion was broken off"))));
            let flight = told.boxed().shared();
            for (at, index) in part.iter().copied().enumerate() {
                let place = Place { flight: flight.clone(), at, of: part.len() };
                flights.insert(id(&hubs[index], to), place.clone());
                waits.push(Wait { index, place, own: true });
            }
            batches.push(Batch { hubs: part.iter().map(|index| hubs[*index].clone()).collect(), tell });
        }
        drop(flights);
        batches.into_iter().for_each(|batch| self.send_off(to.clone(), batch));
        waits
    }

    fn send_off(self: &Arc<Self>, to: Gvk, batch: Batch) {
        let aboard = Aboard { converter: self.clone(), ids: batch.hubs.iter().map(|hub| id(hub, &to)).collect() };
        tokio::spawn(async move {
            let done = aboard.converter.carry(&to, &batch.hubs).await;
            drop(aboard);
            // All who wanted it may be gone.
            drop(batch.tell.send(done));
        });
    }

    async fn carry(&self, to: &Gvk, hubs: &[Arc<Encoded>]) -> Result<Arc<[Arc<Encoded>]>, Status> {
        let bytes = hubs.iter().map(|hub| hub.stored().len()).sum();
        let objects = long::steps(bytes, || hubs.iter().map(|hub| self.read(hub)).collect::<Result<Vec<_>, _>>())?;
        let converted = self.convert(objects, to).await?;
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
        let is = super::version_of(hub.stored());
        let version = self.versions.get(&is).ok_or_else(|| unknown(&is))?;
        let tree = version.stored.tree(hub);
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
        let done = tokio::time::timeout(limits::CONVERSION, self.ask(&objects, to)).await;
        let late = |_| {
            let url = format!("{}?timeout={}s", self.conversion.client.url(), limits::CONVERSION.as_secs());
            let why = format!("Post {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
            Err(failed(&objects, &why))
        };
        // Upstream's answer carries no reason.
        done.unwrap_or_else(late).map_err(|why| Status::new(Reason::Unknown, why))
    }

    async fn ask(&self, objects: &[Object], to: &Gvk) -> Result<Vec<Object>, String> {
        let refused = |why: String| failed(objects, &why);
        let _turn = self.turns.acquire().await.map_err(|closed| refused(closed.to_string()))?;
        let call = self.calls.get().ok_or_else(|| refused("no webhooks are called here".to_owned()))?;
        let uid = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
        let body = self.conversion.request(objects, to, &uid)?.to_string();
        let bytes = body.len();
        let answer = call.post(&self.conversion.client, body.into(), limits::CONVERSION).await.map_err(refused)?;
        long::steps(bytes.max(answer.len()), || {
            let (review, _) = schema::json_tree(&answer).map_err(|why| failed(objects, &why))?;
            self.conversion.answer(objects, to, &uid, review)
        })
    }

    fn version(&self, gvk: &Gvk) -> Result<&Version, Status> {
        self.versions.get(&gvk.api_version()).ok_or_else(|| unknown(&gvk.api_version()))
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Id, Place>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Objects of a batch that is on its way. However it ends, nobody joins it any more.
struct Aboard {
    converter: Arc<Converter>,
    ids: Vec<Id>,
}

impl Drop for Aboard {
    fn drop(&mut self) {
        let mut flights = self.converter.flights();
        self.ids.iter().for_each(|id| drop(flights.remove(id)));
    }
}

fn id(hub: &Encoded, to: &Gvk) -> Id {
    (hub.key.clone(), hub.revision, to.clone())
}

/// What goes together.
fn parts(fresh: &[usize], hubs: &[Arc<Encoded>]) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for index in fresh.iter().copied() {
        let length = hubs[index].stored().len();
        match parts.last_mut().filter(|part| part.len() < limits::CONVERTED && bytes + length <= limits::CONVERTED_BYTES) {
            Some(part) => {
                part.push(index);
                bytes += length;
            }
            None => {
                parts.push(vec![index]);
                bytes = length;
            }
        }
    }
    parts
}

/// What was stored in a version that the definition has no more.
fn unknown(api_version: &str) -> Status {
    Status::new(Reason::Unknown, format!("request to convert CR from an invalid group/version: {api_version}"))
}
