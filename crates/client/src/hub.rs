//! The hub: all informers of one identity, made on demand.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource};
use tasks::Tasks;
use tokio_util::sync::CancellationToken;

use crate::informer::{Informer, Kind};
use crate::watch;

/// Informers by kind, namespace and field selection, whatever their kind.
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
        self.of(Api::all(self.client.clone()), "", fields)
    }

    /// The informer of one object alone: whoever may read this one needs no right to the others.
    pub fn named<K: Kind + Resource<Scope = NamespaceResourceScope>>(&self, namespace: &str, name: &str) -> Informer<K> {
        self.of(Api::namespaced(self.client.clone(), namespace), namespace, &format!("metadata.name={name}"))
    }

    fn of<K: Kind>(&self, api: Api<K>, namespace: &str, fields: &str) -> Informer<K> {
        let key = (TypeId::of::<K>(), format!("{namespace}/{fields}"));
        let mut informers = self.informers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = informers.get(&key);
        if let Some(informer) = known.and_then(|any| any.downcast_ref::<Informer<K>>()) {
            return informer.clone();
        }
        let informer = Informer::new();
        let (of, selection) = (informer.clone(), fields.to_owned());
        self.tasks.keep(format!("the watch of {}", K::plural(&())), move |_| {
            watch::typed(of.clone(), api.clone(), selection.clone())
        });
        let of = informer.clone();
        self.tasks.probe(move || match of.is_synced() {
            true => Ok(()),
            false => Err(format!("{} have not been listed yet", K::plural(&()))),
        });
        informers.insert(key, Box::new(informer.clone()));
        informer
    }
}
