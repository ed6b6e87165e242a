//! Batches of objects that are on their way: who wants one of them waits for the batch in which it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, FutureExt, Shared};
use meta::{Encoded, Gvk, Key, Status, limits};
use tokio::sync::oneshot;

use super::Converter;

/// What is on its way to a webhook.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Id, Place>>);

/// A revision of an object, and the version that is wanted.
type Id = (Key, u64, Gvk);

/// What comes of a batch.
type Flight = Shared<BoxFuture<'static, Result<Arc<[Arc<Encoded>]>, Status>>>;

/// Where in which batch an object is.
#[derive(Clone)]
pub(super) struct Place {
    pub flight: Flight,
    pub at: usize,
    /// Objects in the batch.
    pub of: usize,
}

/// An object that is waited for.
pub(super) struct Wait {
    /// Which of those that were asked for.
    pub index: usize,
    pub place: Place,
    /// Whether the batch was made for this reader.
    pub own: bool,
}

/// A batch that is to go.
struct Batch {
    hubs: Vec<Arc<Encoded>>,
    tell: oneshot::Sender<Result<Arc<[Arc<Encoded>]>, Status>>,
}

impl Converter {
    /// Finds what is known by now, joins what is on its way, and sends off the rest.
    pub(super) fn board(self: &Arc<Self>, to: &Gvk, hubs: &[Arc<Encoded>], shown: &mut [Option<Arc<Encoded>>]) -> Vec<Wait> {
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

    fn flights(&self) -> MutexGuard<'_, HashMap<Id, Place>> {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner)
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
