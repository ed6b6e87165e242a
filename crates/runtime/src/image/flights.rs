//! Work that several want at once and that is done once.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

/// Work under way, by what it is for. It goes on as long as somebody waits for it, whoever that is; with the last of
/// them it ends.
pub(super) struct Flights<K, T: Clone> {
    under_way: Mutex<HashMap<K, WeakShared<BoxFuture<'static, T>>>>,
}

impl<K, T: Clone> Default for Flights<K, T> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

impl<K, T: Clone> fmt::Debug for Flights<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

impl<K: Eq + Hash, T: Clone> Flights<K, T> {
    /// The work for this, and whether it begins with this call.
    pub(super) fn join(
        &self, key: K, begin: impl FnOnce() -> BoxFuture<'static, T>,
    ) -> (Shared<BoxFuture<'static, T>>, bool) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = under_way.get(&key).and_then(WeakShared::upgrade) {
            return (found, false);
        }
        under_way.retain(|_, work| work.upgrade().is_some());
        let work = begin().shared();
        if let Some(weak) = work.downgrade() {
            under_way.insert(key, weak);
        }
        (work, true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    struct Dropped(Arc<AtomicUsize>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_work_lasts_as_long_as_anybody_waits() {
        let (flights, go, dropped) = (Flights::<u8, u8>::default(), Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let begin = || {
            let (go, guard) = (go.clone(), Dropped(dropped.clone()));
            let work = async move {
                let _guard = guard;
                go.notified().await;
                7
            };
            work.boxed()
        };
        let (mut first, new) = flights.join(1, begin);
        let (second, joined) = flights.join(1, begin);
        assert!(new && !joined && flights.join(2, begin).1, "one for each key");
        assert_eq!(dropped.load(Ordering::Relaxed), 1, "nobody waited for the other");
        assert!(futures::poll!(&mut first).is_pending());
        drop(first);
        go.notify_one();
        assert_eq!(second.await, 7, "the one that began it has gone, the work has not");
        let (third, new) = flights.join(1, begin);
        assert!(new, "what is done is not under way");
        drop(third);
        assert_eq!(dropped.load(Ordering::Relaxed), 3, "the last one has gone");
    }
}
