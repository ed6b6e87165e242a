//! One watch of the whole store feeds all caches, so that "how far are we" is a single number: a cache
//! without changes is as current as the feed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::StreamExt;
use store::{Event, Store, Watch};
use tasks::Tasks;
use tokio::sync::watch;

use super::Cache;

/// Everything that the registry stores lies under this prefix.
const ROOT: &str = "/registry/";
/// Events taken in before readers are told how far the feed is.
const BATCH: usize = 512;
/// The caches are late when they stay at a revision for so long, and the store is further.
const LATE: Duration = Duration::from_secs(5);
/// Before a broken watch is started anew.
const PAUSE: Duration = Duration::from_millis(100);

/// Follows the store.
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    /// Sorted by prefix.
    caches: RwLock<Arc<Vec<Arc<Cache>>>>,
    reached: watch::Sender<u64>,
    /// How long a reader waits for a revision.
    patience: Duration,
    /// Since when it has been seen at one revision, and the store at a later one.
    behind: Mutex<Option<(u64, Instant)>>,
}

impl Feed {
    /// Starts to follow the store from its present revision.
    pub async fn start(
        store: Arc<dyn Store>,
        patience: Duration,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, store::Error> {
        let from = store.revision();
        let watch = store.watch(ROOT, from).await?;
        let reached = watch::Sender::new(from);
        let feed = Arc::new(Feed { store, caches: RwLock::default(), reached, patience, behind: Mutex::default() });
        tasks.vital("the watch cache", feed.clone().follow(watch));
        Ok(feed)
    }

    fn caches(&self) -> Arc<Vec<Arc<Cache>>> {
        self.caches.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The cache of a storage prefix, if there is one.
    pub fn cache(&self, prefix: &str) -> Option<Arc<Cache>> {
        self.caches().iter().find(|c| *c.prefix == *prefix).cloned()
    }

    /// Adds a cache: it gets events from now on, and has to be loaded then.
    pub fn add(&self, cache: Arc<Cache>) {
        let mut caches = self.caches.write().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<Arc<Cache>> = caches.iter().filter(|c| c.prefix != cache.prefix).cloned().collect();
        list.push(cache);
        list.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        *caches = Arc::new(list);
    }

    /// Forgets the cache of a prefix.
    pub fn remove(&self, prefix: &str) {
        let mut caches = self.caches.write().unwrap_or_else(PoisonError::into_inner);
        *caches = Arc::new(caches.iter().filter(|c| *c.prefix != *prefix).cloned().collect());
    }

    /// The revision up to which all caches are current.
    pub fn revision(&self) -> u64 {
        *self.reached.borrow()
    }

    /// Whether the caches keep up with the store: what they lack may not stay lacking.
    pub fn check(&self) -> Result<(), String> {
        let (reached, current) = (self.revision(), self.store.revision());
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        if reached >= current {
            *behind = None;
            return Ok(());
        }
        match *behind {
            Some((at, since)) if at == reached && since.elapsed() > LATE => {
                Err(format!("the watch cache is at revision {reached}, the store at {current}"))
            }
            Some((at, _)) if at == reached => Ok(()),
            _ => {
                *behind = Some((reached, Instant::now()));
                Ok(())
            }
        }
    }

    /// For those who want to know how far the feed is.
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }

    /// Waits until all caches have reached a revision; `false` when that takes too long.
    pub async fn reach(&self, revision: u64) -> bool {
        if self.revision() >= revision {
            return true;
        }
        let mut progress = self.reached.subscribe();
        let wait = progress.wait_for(|reached| *reached >= revision);
        tokio::time::timeout(self.patience, wait).await.is_ok_and(|reached| reached.is_ok())
    }

    async fn follow(self: Arc<Self>, mut watch: Watch) {
        loop {
            let mut batches = watch.ready_chunks(BATCH);
            while let Some(batch) = batches.next().await {
                // A kind's rules are asked in there: if they panic, all is loaded anew and goes on after that event.
                match catch_unwind(AssertUnwindSafe(|| self.take(batch))) {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => tracing::warn!(%error, "the watch cache lost the store's watch, loading anew"),
                    Err(_) => tracing::error!("the watch cache panicked, loading anew"),
                }
                break;
            }
            watch = self.restart().await;
        }
    }

    fn take(&self, batch: Vec<Result<Event, store::Error>>) -> Result<(), store::Error> {
        let caches = self.caches();
        let mut reached = 0;
        let mut end = Ok(());
        for event in batch {
            match event {
                Ok(event) => {
                    reached = event.revision;
                    // The greatest prefix that is not greater than the key.
                    let next = caches.partition_point(|c| *c.prefix <= *event.key);
                    if let Some(cache) = caches[..next].last().filter(|c| event.key.starts_with(&*c.prefix)) {
                        cache.take(event);
                    }
                }
                Err(error) => end = Err(error),
            }
        }
        if reached > 0 {
            self.reached.send_replace(reached);
        }
        end
    }

    /// A new watch, with all caches loaded anew.
    async fn restart(&self) -> Watch {
        loop {
            tokio::time::sleep(PAUSE).await;
            let from = self.store.revision();
            let watch = match self.store.watch(ROOT, from).await {
                Ok(watch) => watch,
                Err(error) => {
                    tracing::error!(%error, "the store cannot be watched");
                    continue;
                }
            };
            let mut whole = true;
            for cache in self.caches().iter() {
                if let Err(error) = cache.load(&*self.store).await {
                    tracing::error!(%error, "the watch cache cannot be loaded");
                    whole = false;
                }
            }
            if whole {
                self.reached.send_replace(from);
                return watch;
            }
        }
    }
}
