//! The workers of this node: one task per pod, woken by news.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Change, Informer};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use tasks::Tasks;
use tokio::sync::{Notify, SetOnce, watch};
use tokio::task::JoinSet;

use crate::agent::Agent;
use crate::pod::eviction::Eviction;
use crate::pod::worker::Worker;
use crate::spec;

/// Before a worker that panicked is started again.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// How the outside reaches a worker.
pub struct Link {
    pod: Mutex<Arc<Pod>>,
    /// A file of the node describes the pod, and not the API.
    pub is_static: bool,
    /// The API, or the node's directory, no longer has the pod.
    pub gone: AtomicBool,
    /// An object that the pod names has changed.
    pub stale: AtomicBool,
    /// The pod waits for room on the node.
    pub deferred: AtomicBool,
    /// The node has taken the pod in.
    pub admitted: AtomicBool,
    /// Why the node ends the pod for good.
    evicted: Mutex<Option<Eviction>>,
    /// Wakes the worker.
    pub notify: Notify,
}

impl Link {
    fn new(pod: Arc<Pod>, is_static: bool) -> Self {
        Link {
            is_static,
            // An earlier agent did.
            admitted: AtomicBool::new(spec::status(&pod).start_time.is_some()),
            pod: Mutex::new(pod),
            gone: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            deferred: AtomicBool::new(false),
            evicted: Mutex::default(),
            notify: Notify::new(),
        }
    }

    /// The pod as the API had it last.
    pub fn pod(&self) -> Arc<Pod> {
        self.pod.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another state of the pod in place of the last one.
    pub fn set(&self, pod: Arc<Pod>) {
        *self.pod.lock().unwrap_or_else(PoisonError::into_inner) = pod;
    }

    /// Why the node ends the pod for good, if it does.
    pub fn evicted(&self) -> Option<Eviction> {
        self.evicted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the pod for good, for the first reason that is given. Whether this was it.
    pub fn evict(&self, eviction: Eviction) -> bool {
        let mut evicted = self.evicted.lock().unwrap_or_else(PoisonError::into_inner);
        let first = evicted.is_none();
        evicted.get_or_insert(eviction);
        self.notify.notify_one();
        first
    }

    /// An object that the pod names has changed.
    pub fn stale(&self) {
        self.stale.store(true, Ordering::Release);
        self.notify.notify_one();
    }
}

/// All workers, by uid of their pod.
#[derive(Default)]
pub struct Pods {
    /// Told when a pod comes or goes, when its spec changes, or when it has ended.
    pub changed: watch::Sender<()>,
    /// Set when all pods that the API had at the start have a worker.
    pub listed: SetOnce<()>,
    links: Mutex<HashMap<String, Arc<Link>>>,
    tasks: Mutex<JoinSet<()>>,
    admission: Mutex<()>,
}

impl Pods {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is no pod.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// All pods that have a worker.
    pub fn list(&self) -> Vec<Arc<Pod>> {
        self.lock().values().map(|l| l.pod()).collect()
    }

    /// The pods that the API still has.
    pub fn present(&self) -> Vec<Arc<Pod>> {
        self.lock().values().filter(|l| !l.gone.load(Ordering::Acquire)).map(|l| l.pod()).collect()
    }

    /// The pod of that name; of several, the one that is not being deleted.
    pub fn find(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let all = self.list().into_iter().filter(|p| spec::namespace(p) == namespace && spec::name(p) == name);
        all.min_by_key(|p| p.metadata.deletion_timestamp.is_some())
    }

    /// Ends a pod for good. Whether nobody has before.
    pub fn evict(&self, uid: &str, eviction: Eviction) -> bool {
        let link = self.lock().get(uid).cloned();
        link.is_some_and(|link| link.evict(eviction))
    }

    /// Whether a pod has been told to go.
    pub fn is_evicted(&self, uid: &str) -> bool {
        self.lock().get(uid).is_some_and(|link| link.evicted().is_some())
    }

    /// The pods that take something of the node and have not been told to go.
    pub fn active(&self) -> Vec<Arc<Pod>> {
        self.taken_in(|link| link.evicted().is_none() && !spec::is_terminal(&link.pod()))
    }

    /// What all pods have been told may be out of date.
    pub fn stale(&self) {
        self.lock().values().for_each(|link| link.stale());
    }

    /// Waits until nothing of a pod runs any more.
    pub async fn ended(&self, uid: &str) {
        let mut changes = self.changed.subscribe();
        while self.lock().get(uid).is_some_and(|link| !spec::is_terminal(&link.pod())) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Those of the pods that the node has taken in and the API still has.
    pub fn taken_in(&self, wanted: impl Fn(&Link) -> bool) -> Vec<Arc<Pod>> {
        let there = |l: &&Arc<Link>| l.admitted.load(Ordering::Acquire) && !l.gone.load(Ordering::Acquire);
        self.lock().values().filter(there).filter(|link| wanted(link)).map(|l| l.pod()).collect()
    }

    /// Held while it is decided whether a pod is taken in: of two that want the same, one gets it.
    pub fn admission(&self) -> MutexGuard<'_, ()> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all workers; the pods go on.
    pub fn abort_all(&self) {
        self.tasks().abort_all();
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Something became free: wakes the workers whose pods wait for room.
    pub fn room(&self) {
        let links = self.lock();
        links.values().filter(|l| l.deferred.load(Ordering::Acquire)).for_each(|link| link.notify.notify_one());
    }

    fn wake(&self, uid: &str) {
        let links = self.lock();
        match links.get(uid) {
            Some(link) => link.notify.notify_one(),
            None if uid.is_empty() => links.values().for_each(|link| link.notify.notify_one()),
            None => {}
        }
    }
}

/// Gives every pod of the informer a worker, and wakes it at changes of the pod and its containers.
pub fn supervise(agent: &Arc<Agent>, informer: &Informer<Pod>, tasks: &Tasks) {
    let handler = agent.clone();
    informer.on_change(move |change| take(&handler, change));
    let agent = agent.clone();
    tasks.keep("the news of containers", move |_| {
        // What was missed, a look at everything finds.
        let (agent, mut events) = (agent.clone(), agent.runtime.events());
        async move {
            agent.pods.wake("");
            while let Some(event) = events.next().await {
                agent.pods.wake(&event.pod_uid);
            }
        }
    });
}

fn take(agent: &Arc<Agent>, change: &Change<Pod>) {
    let (mirror, change) = agent.statics.mirrors.sort(change);
    if let Some(name) = mirror {
        agent.statics.changed.notify_one();
        agent.pods.wake_static(&name.namespace, &name.name);
    }
    if change.old.is_none() && change.new.is_none() {
        return;
    }
    attend(agent, &change, false);
    let counts = |pod: &Option<Arc<Pod>>| pod.as_ref().map(|p| (p.metadata.generation, spec::is_terminal(p)));
    if counts(&change.old) != counts(&change.new) {
        agent.pods.changed.send_replace(());
    }
}

/// The same for a static pod.
pub fn take_static(agent: &Arc<Agent>, change: &Change<Pod>) {
    attend(agent, change, true);
    agent.pods.changed.send_replace(());
}

fn attend(agent: &Arc<Agent>, change: &Change<Pod>, is_static: bool) {
    let uid = |pod: &Option<Arc<Pod>>| pod.as_ref().map(|p| spec::uid(p).to_owned());
    let (old, new) = (uid(&change.old), uid(&change.new));
    if let Some(old) = change.old.as_ref().filter(|_| old != new)
        && let Some(link) = agent.pods.lock().get(spec::uid(old))
    {
        link.gone.store(true, Ordering::Release);
        link.notify.notify_one();
    }
    let Some(pod) = &change.new else { return };
    let mut links = agent.pods.lock();
    match links.get(spec::uid(pod)) {
        Some(link) => {
            // What has become of a static pod nobody tells but its worker.
            let kept = || Arc::new(Pod { status: link.pod().status.clone(), ..(**pod).clone() });
            link.set(if is_static { kept() } else { pod.clone() });
            link.notify.notify_one();
        }
        None => {
            let link = Arc::new(Link::new(pod.clone(), is_static));
            links.insert(spec::uid(pod).to_owned(), link.clone());
            drop(links);
            agent.pods.spawn(keep_working(agent.clone(), link));
        }
    }
}

/// Runs a worker to its end; a panic costs what it remembered, no more.
async fn keep_working(agent: Arc<Agent>, link: Arc<Link>) {
    loop {
        let worker = Worker::new(agent.clone(), link.clone());
        match AssertUnwindSafe(worker.run()).catch_unwind().await {
            Ok(()) => break,
            Err(_) => {
                tracing::error!(pod = %spec::title(&link.pod()), "pod worker panicked, starting it again");
                tokio::time::sleep(AFTER_PANIC).await;
            }
        }
    }
    let uid = spec::uid(&link.pod()).to_owned();
    agent.pods.lock().remove(&uid);
    agent.probed.forget(&uid);
    if link.is_static {
        agent.statics.changed.notify_one();
        // Its file was taken away and has come back meanwhile.
        if let Some(back) = agent.statics.all().into_iter().find(|one| spec::uid(&one.pod) == uid) {
            attend(&agent, &Change { old: None, new: Some(back.pod) }, true);
        }
    }
    agent.pods.changed.send_replace(());
    // Its resources are free for those who wait for some.
    agent.pods.room();
}
