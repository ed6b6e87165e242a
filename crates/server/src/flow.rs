//! How many requests run at once: one bound for reading, one for writing (upstream: `server/filters/maxinflight.go`).
//! Who comes too much waits a moment, first come first served; who comes far too much is sent away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meta::{Attributes, Reason, Status};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::route::Route;

/// The longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(15);
/// Seconds after which one who was sent away may come again.
const RETRY_AFTER: u32 = 1;

/// One class of requests.
#[derive(Debug)]
struct Class {
    turns: Semaphore,
    limit: usize,
    waiting: AtomicUsize,
    /// More than so many do not wait.
    queue: usize,
}

/// The bounds.
#[derive(Debug)]
pub struct Flow {
    reading: Class,
    writing: Class,
}

/// How many requests of each class may run at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// get and list.
    pub reading: usize,
    /// Everything that changes something.
    pub writing: usize,
}

impl Default for Limits {
    /// Upstream's `--max-requests-inflight` and `--max-mutating-requests-inflight`.
    fn default() -> Self {
        Limits { reading: 400, writing: 200 }
    }
}

/// Leaves the queue however the wait ends.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Class {
    fn new(limit: usize) -> Self {
        Class { turns: Semaphore::new(limit), limit, waiting: AtomicUsize::new(0), queue: limit * 4 }
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Some(turn);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= self.queue {
            return None;
        }
        tokio::time::timeout(PATIENCE, self.turns.acquire()).await.ok()?.ok()
    }

    fn running(&self) -> usize {
        self.limit - self.turns.available_permits()
    }
}

impl Flow {
    /// With these bounds.
    pub fn new(limits: Limits) -> Self {
        Flow { reading: Class::new(limits.reading), writing: Class::new(limits.writing) }
    }

    /// Waits for a turn. `None` for those who need none: watches, streams, `system:masters` and paths
    /// that tell about health. 429 when too many wait already.
    pub async fn enter(&self, route: &Route) -> Result<Option<SemaphorePermit<'_>>, Status> {
        let a: &Attributes = &route.attributes;
        if route.is_long_running() || !a.is_resource() || a.user.in_group("system:masters") {
            return Ok(None);
        }
        let class = if matches!(&*a.verb, "get" | "list") { &self.reading } else { &self.writing };
        match class.turn().await {
            Some(turn) => Ok(Some(turn)),
            None => {
                let mut status = Status::new(Reason::TooManyRequests, "Too many requests, please try again later.");
                status.retry_after = RETRY_AFTER;
                Err(status)
            }
        }
    }

    /// Requests that run now: reading, writing.
    pub fn running(&self) -> (usize, usize) {
        (self.reading.running(), self.writing.running())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use http::Method;

    #[tokio::test]
    async fn beyond_the_bound_they_wait_and_beyond_the_queue_they_are_refused() {
        let flow = Flow::new(Limits { reading: 1, writing: 1 });
        let get = crate::route::route(&Method::GET, "/api/v1/nodes/a", None).expect("routes");
        let watch = crate::route::route(&Method::GET, "/api/v1/nodes", Some("watch=1")).expect("routes");
        let first = flow.enter(&get).await.expect("free");
        assert_eq!(flow.running(), (1, 0));
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(flow.enter(&get))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        let refused = flow.enter(&get).await.expect_err("queue is full");
        assert_eq!((refused.code, refused.retry_after), (429, 1));
        assert!(flow.enter(&watch).await.expect("exempt").is_none());
        drop(first);
        assert!(waiting.remove(0).await.expect("its turn").is_some());
    }
}
