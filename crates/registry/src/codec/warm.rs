//! Which objects have forms beside their stored bytes, so that forms for which nobody asks any more are let go.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use meta::Encoded;
use tokio::sync::Notify;

/// A form is let go when nobody has asked for it for one to two of these.
const PERIOD: Duration = Duration::from_secs(60);
/// Those who watch have this long to send the forms of a revision that is over.
const GRACE: Duration = Duration::from_secs(2);

/// Objects that have forms.
#[derive(Default)]
pub(crate) struct Warm {
    objects: Mutex<Vec<Weak<Encoded>>>,
    /// Rung when there is a first one.
    some: Notify,
    /// Revisions that are over, and may have forms.
    over: Mutex<Vec<Weak<Encoded>>>,
    any_over: Notify,
}

impl Warm {
    /// Remembers an object whose first form is made.
    pub fn add(&self, object: &Arc<Encoded>) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let room = objects.capacity();
        if objects.len() == room {
            // Even what is gone takes its place in memory as long as it is in here.
            objects.retain(|object| object.strong_count() > 0);
            let more = if objects.len() > room / 2 { room.max(64) } else { 1 };
            objects.reserve(more);
        }
        objects.push(Arc::downgrade(object));
        if objects.len() == 1 {
            self.some.notify_one();
        }
    }

    /// Remembers a revision that was replaced or deleted.
    pub fn retire(&self, object: &Arc<Encoded>) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        over.push(Arc::downgrade(object));
        if over.len() == 1 {
            self.any_over.notify_one();
        }
    }

    /// Lets go of what nobody asks for, until it is dropped. Sleeps while no object has forms.
    pub async fn run(&self) {
        tokio::join!(self.run_current(), self.run_over());
    }

    async fn run_over(&self) {
        loop {
            self.any_over.notified().await;
            tokio::time::sleep(GRACE).await;
            self.forget_over();
        }
    }

    fn forget_over(&self) {
        let over = std::mem::take(&mut *self.over.lock().unwrap_or_else(PoisonError::into_inner));
        over.iter().filter_map(Weak::upgrade).for_each(|object| object.forget());
    }

    async fn run_current(&self) {
        loop {
            self.some.notified().await;
            loop {
                tokio::time::sleep(PERIOD).await;
                if self.sweep() == 0 {
                    break;
                }
            }
        }
    }

    /// Lets go once; how many objects have forms still.
    fn sweep(&self) -> usize {
        let lock = || self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = std::mem::take(&mut *lock());
        // Not under the lock: forms are dropped here, and objects with them.
        let mut left: Vec<_> = asked.into_iter().filter(|object| object.upgrade().is_some_and(|o| o.let_go())).collect();
        let mut objects = lock();
        left.append(&mut objects);
        *objects = left;
        objects.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use meta::Key;

    use crate::codec::Stored;

    #[test]
    fn only_what_is_asked_for_stays_warm() {
        let warm = Arc::new(Warm::default());
        let config_maps = kinds::all().into_iter().find(|kind| *kind.gvk.kind == *"ConfigMap").expect("a kind");
        let codec = Stored::new(&config_maps, warm.clone());
        let object = |name| Arc::new(Encoded::new(Key::new("", name), 1, Bytes::from_static(b"{}"), codec.clone()));
        let (asked, idle, gone) = (object("a"), object("b"), object("c"));
        for one in [&asked, &idle, &gone] {
            one.json().expect("is made");
        }
        drop(gone);
        assert_eq!(warm.sweep(), 2, "both were asked for since the last time");
        asked.json().expect("is there");
        assert_eq!(warm.sweep(), 1);
        assert_eq!(warm.sweep(), 0);
        idle.json().expect("is made again");
        assert_eq!(warm.sweep(), 1);
        asked.json().expect("is made again");
        warm.retire(&asked);
        warm.forget_over();
        assert_eq!(warm.sweep(), 0, "one is over, for the other nobody asks");
    }

    #[test]
    fn what_is_gone_is_forgotten_before_the_next_sweep() {
        let warm = Arc::new(Warm::default());
        let config_maps = kinds::all().into_iter().find(|kind| *kind.gvk.kind == *"ConfigMap").expect("a kind");
        let codec = Stored::new(&config_maps, Arc::default());
        let object = || Arc::new(Encoded::new(Key::new("", "a"), 1, Bytes::from_static(b"{}"), codec.clone()));
        let kept: Vec<_> = (0..100).map(|_| object()).collect();
        kept.iter().for_each(|object| warm.add(object));
        (0..10_000).for_each(|_| warm.add(&object()));
        let objects = warm.objects.lock().expect("no panic");
        assert!(objects.len() <= 512 && objects.iter().filter(|object| object.strong_count() > 0).count() == 100);
    }
}
