//! ConfigMaps and Secrets that pods of this node refer to, each followed by a watch of its own.
//!
//! A node may read just the objects that its pods name, so there is no watch over all of them.
//! Pods that name the same object share a watch; it ends when the last of them lets go.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use client::informer::Kind;
use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use tokio::sync::watch;

/// How long a reader waits for a first answer.
const PATIENCE: Duration = Duration::from_secs(3);
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

type Name = (TypeId, String, String);

/// All watches of this node.
pub struct Objects {
    client: Client,
    watches: Mutex<HashMap<Name, Weak<dyn Any + Send + Sync>>>,
}

#[derive(Clone)]
enum State<K> {
    Unknown(String),
    Absent,
    Present(Arc<K>),
}

/// One object, kept current while this lives.
pub struct Watched<K> {
    state: watch::Receiver<State<K>>,
    task: tokio::task::AbortHandle,
}

impl<K> Drop for Watched<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Kinds that can be watched one by one.
pub trait Single: Kind + Resource<Scope = NamespaceResourceScope> {}
impl<K: Kind + Resource<Scope = NamespaceResourceScope>> Single for K {}

impl Objects {
    /// Watches by this client.
    pub fn new(client: Client) -> Self {
        Objects { client, watches: Mutex::default() }
    }

    /// Follows an object.
    pub fn watch<K: Single>(&self, namespace: &str, name: &str) -> Arc<Watched<K>> {
        let key = (TypeId::of::<K>(), namespace.to_owned(), name.to_owned());
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let known = watches.get(&key).and_then(Weak::upgrade).and_then(|any| any.downcast::<Watched<K>>().ok());
        if let Some(known) = known {
            return known;
        }
        watches.retain(|_, watch| watch.strong_count() > 0);
        let (sender, state) = watch::channel(State::Unknown("not read yet".to_owned()));
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        let task = tokio::spawn(follow(api, name.to_owned(), sender)).abort_handle();
        let watched = Arc::new(Watched { state, task });
        let shared: Arc<dyn Any + Send + Sync> = watched.clone();
        watches.insert(key, Arc::downgrade(&shared));
        watched
    }
}

impl<K: Single> Watched<K> {
    /// The object as of now, or `None` when there is none. The error says why it cannot be read.
    pub async fn get(&self) -> Result<Option<Arc<K>>, String> {
        let mut state = self.state.clone();
        let known = state.wait_for(|s| !matches!(s, State::Unknown(_)));
        match tokio::time::timeout(PATIENCE, known).await {
            Ok(Ok(state)) => match &*state {
                State::Present(object) => Ok(Some(object.clone())),
                _ => Ok(None),
            },
            _ => match &*self.state.borrow() {
                State::Unknown(why) => Err(why.clone()),
                State::Present(object) => Ok(Some(object.clone())),
                State::Absent => Ok(None),
            },
        }
    }

    /// Calls back at every change until the returned guard is dropped.
    pub fn on_change(&self, wake: impl Fn() + Send + 'static) -> Listening {
        let mut state = self.state.clone();
        state.mark_unchanged();
        let task = tokio::spawn(async move {
            while state.changed().await.is_ok() {
                wake();
            }
        });
        Listening(task.abort_handle())
    }
}

/// Ends its listener when dropped.
pub struct Listening(tokio::task::AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow<K: Single>(api: Api<K>, name: String, state: watch::Sender<State<K>>) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).streaming_lists();
    let mut stream = watcher::watcher(api, config).boxed();
    let mut listed = None;
    let mut delay = FIRST_RETRY;
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => listed = None,
            Ok(Event::InitApply(object)) => listed = Some(Arc::new(object)),
            Ok(Event::InitDone) => {
                delay = FIRST_RETRY;
                set(&state, listed.take());
            }
            Ok(Event::Apply(object)) => set(&state, Some(Arc::new(object))),
            Ok(Event::Delete(_)) => set(&state, None),
            Err(error) => {
                state.send_if_modified(|s| {
                    if let State::Unknown(why) = s {
                        *why = error.to_string();
                    }
                    false
                });
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(LONGEST_RETRY);
            }
        }
    }
}

fn set<K: Single>(state: &watch::Sender<State<K>>, object: Option<Arc<K>>) {
    state.send_if_modified(|old| {
        let same = match (&*old, &object) {
            (State::Present(a), Some(b)) => a.meta().resource_version == b.meta().resource_version,
            (State::Absent, None) => true,
            _ => false,
        };
        *old = object.map_or(State::Absent, State::Present);
        !same
    });
}
