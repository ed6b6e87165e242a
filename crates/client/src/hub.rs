//! The hub: all informers of one identity, made on demand.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Api;
use tasks::Tasks;
use tokio_util::sync::CancellationToken;

use crate::informer::{Informer, Kind};
use crate::watch;

/// Informers by kind and field selection, whatever their kind.
type Informers = HashMap<(TypeId, String), Box<dyn Any + Send>>;

/// All informers of one process, made on demand and shared.
#[derive(Clone)]
pub struct Hub {
    client: kube::Client,
    informers: Arc<Mutex<Informers>>,
    tasks: Tasks,
}

impl Hub {
    /// A hub whose watches use this client, and its identity, and are among these tasks.
    pub fn new(client: kube::Client, tasks: impl Into<Tasks>) -> Self {
        Hub { client, informers: Arc::default(), tasks: tasks.into() }
    }

    /// The client.
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// What ends this hub's watches.
    pub fn stop(&self) -> &CancellationToken {
        self.tasks.stop()
    }

    /// The tasks among which this hub's watches are.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The informer of a kind over all namespaces; started at its first use.
    pub fn informer<K: Kind>(&self) -> Informer<K> {
        self.selected("")
    }

    /// The same for a field selection, for example `spec.nodeName=n1`; empty for all.
    pub fn selected<K: Kind>(&self, fields: &str) -> Informer<K> {
        let mut informers = self.informers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = informers.get(&(TypeId::of::<K>(), fields.to_owned()));
        if let Some(informer) = known.and_then(|any| any.downcast_ref::<Informer<K>>()) {
            return informer.clone();
        }
        let informer = Informer::new();
        let (of, api, selection) = (informer.clone(), Api::all(self.client.clone()), fields.to_owned());
        self.tasks.keep(format!("the watch of {}", K::plural(&())), move |_| {
            watch::typed(of.clone(), api.clone(), selection.clone())
        });
        let of = informer.clone();
        self.tasks.probe(move || match of.is_synced() {
            true => Ok(()),
            false => Err(format!("{} have not been listed yet", K::plural(&()))),
        });
        informers.insert((TypeId::of::<K>(), fields.to_owned()), Box::new(informer.clone()));
        informer
    }
}
