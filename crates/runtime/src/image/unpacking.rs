//! Who may unpack: few images at a time, so that one that is large keeps others neither waiting nor from the processors;
//! and images on the same base one after the other, so that the second finds it there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Lock, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// See the module.
#[derive(Debug)]
pub(super) struct Unpacking {
    permits: Arc<Semaphore>,
    bases: Mutex<HashMap<String, Weak<Lock<()>>>>,
}

/// One image's turn.
pub(super) struct Place {
    _base: OwnedMutexGuard<()>,
    _permit: OwnedSemaphorePermit,
}

impl Unpacking {
    pub(super) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(limits::UNPACKING)), bases: Mutex::default() }
    }

    /// Waits for the turn of an image whose lowest layer that is missing is this one.
    pub(super) async fn place(&self, base: &str) -> Place {
        let lock = self.base(base);
        // Who waits for his base takes no permit.
        let base = lock.lock_owned().await;
        let Ok(permit) = self.permits.clone().acquire_owned().await else {
            unreachable!("the semaphore is never closed")
        };
        Place { _base: base, _permit: permit }
    }

    fn base(&self, name: &str) -> Arc<Lock<()>> {
        let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = bases.get(name).and_then(Weak::upgrade) {
            return found;
        }
        bases.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(Lock::new(()));
        bases.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn images_on_one_base_wait_for_each_other_and_for_no_others() {
        let unpacking = Unpacking::new();
        let first = unpacking.place("a").await;
        let mut second = Box::pin(unpacking.place("a"));
        assert!(second.as_mut().now_or_never().is_none());
        let other = unpacking.place("b").now_or_never();
        assert!(other.is_some(), "who waits for a base has no permit");
        assert!(unpacking.place("c").now_or_never().is_none(), "two at a time");
        drop(first);
        drop(second.await);
        drop(other);
        drop(unpacking.place("c").await);
        assert_eq!(unpacking.bases.lock().unwrap().len(), 1, "names that nobody needs are not kept");
    }
}
