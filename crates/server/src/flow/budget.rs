//! The bytes of all bodies that are being read, and of all answers that were not taken yet. A user may hold as much as is
//! still free: half of it alone, a third each of two, and so on; somebody new always finds room.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All bytes.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    held: Mutex<Held>,
    hasher: RandomState,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    /// By the hash of the user's name.
    users: HashMap<u64, usize>,
}

/// What one body holds. Given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    user: u64,
    bytes: usize,
}

impl Budget {
    /// So many bytes.
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Budget { total, held: Mutex::default(), hasher: RandomState::new(), freed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A share of that user's, empty.
    pub fn share(self: &Arc<Self>, user: &str) -> Share {
        Share { budget: self.clone(), user: self.hasher.hash_one(user), bytes: 0 }
    }

    /// Whether that user holds more than its part.
    pub fn is_over(&self, user: &str) -> bool {
        let held = self.lock();
        // Most of the time there is nothing to look up.
        held.all > self.total / 2 && self.over(&held, self.hasher.hash_one(user))
    }

    fn over(&self, held: &Held, user: u64) -> bool {
        held.users.get(&user).is_some_and(|bytes| *bytes > self.total.saturating_sub(held.all))
    }

    /// All bytes that are held.
    pub fn held(&self) -> usize {
        self.lock().all
    }
}

impl Share {
    /// Holds so many more, whether there is room for them or not: they are there already.
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        let mut held = self.budget.lock();
        held.all += bytes;
        *held.users.entry(self.user).or_default() += bytes;
    }

    /// Whether its user holds more than its part.
    pub fn is_over(&self) -> bool {
        self.budget.over(&self.budget.lock(), self.user)
    }

    /// Waits until its user holds no more than its part.
    pub fn room(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
        let (budget, user) = (self.budget.clone(), self.user);
        async move {
            loop {
                let freed = budget.freed.notified();
                if !budget.over(&budget.lock(), user) {
                    return;
                }
                freed.await;
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.budget.lock();
        held.all -= self.bytes;
        if let Some(bytes) = held.users.get_mut(&self.user) {
            *bytes -= self.bytes;
            if *bytes == 0 {
                held.users.remove(&self.user);
            }
        }
        drop(held);
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn one_user_never_has_all_and_a_new_one_finds_room() {
        let budget = Budget::new(100);
        let (mut greedy, mut other) = (budget.share("greedy"), budget.share("other"));
        greedy.add(50);
        assert!(!greedy.is_over());
        greedy.add(10);
        assert!(greedy.is_over() && budget.is_over("greedy") && !budget.is_over("other"));
        other.add(20);
        assert!(!other.is_over());
        let mut room = Box::pin(greedy.room());
        assert!((&mut room).now_or_never().is_none());
        let mut more = budget.share("greedy");
        more.add(1);
        drop((more, other));
        assert!((&mut room).now_or_never().is_none(), "60 of 100 are more than what is free");
        drop(greedy);
        assert!(room.now_or_never().is_some());
        assert_eq!(budget.held(), 0);
    }
}
