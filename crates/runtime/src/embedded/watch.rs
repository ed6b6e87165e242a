//! Following the shims: ends of containers, ends of shims.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::connection::Connection;
use super::{Inner, blocking};
use crate::shim::wire::{Reply, Request};
use crate::{Error, Result};

/// Before a follower that panicked, or could not connect, begins anew.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes over what an earlier process of the runtime left running. Until the shim of a pod has said what runs, nobody is
/// told anything of the pod ([`Inner::seen`]).
pub(super) fn adopt(inner: &Arc<Inner>) {
    let uids: Vec<String> = inner.pods().keys().cloned().collect();
    for uid in uids {
        let there = Connection::open(&inner.config.shim(&uid));
        if let Some(pod) = inner.pods().get_mut(&uid) {
            pod.unseen = true;
            pod.ready = !matches!(there, Err(Error::NotFound(_)));
        }
        attend_to(inner, &uid, there.ok());
    }
}

/// Follows one sandbox until its shim ends.
pub(super) fn pod(inner: &Arc<Inner>, uid: &str) -> Result<()> {
    let connection = Connection::open(&inner.config.shim(uid))?;
    attend_to(inner, uid, Some(connection));
    Ok(())
}

fn attend_to(inner: &Arc<Inner>, uid: &str, mut connection: Option<Connection>) {
    let (inner, uid) = (inner.clone(), uid.to_owned());
    let sandbox = inner.sandbox(&uid);
    tokio::spawn(async move {
        let name = uid.clone();
        let attend = move || attend(inner.clone(), uid.clone(), sandbox, connection.take());
        again_after_panics(&name, attend).await;
    });
}

/// Does the work, and all of it again where it panics: who follows a pod must not end before the pod does, or its ends
/// would be nobody's.
async fn again_after_panics<W: Future<Output = ()>>(pod: &str, mut work: impl FnMut() -> W) {
    while let Err(panic) = AssertUnwindSafe(work()).catch_unwind().await {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        tracing::error!(pod, error = text.unwrap_or("unknown"), "who follows a pod's process panicked, and follows anew");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Follows a sandbox, at first over this connection, to its end.
async fn attend(inner: Arc<Inner>, uid: String, sandbox: Option<i64>, mut connection: Option<Connection>) {
    loop {
        match connection.take().map_or_else(|| Connection::open(&inner.config.shim(&uid)), Ok) {
            Ok(open) => {
                // Where the shim lives, it had only given up on a slow listener.
                let result = follow(&inner, &uid, &open).await;
                tracing::debug!(pod = uid, error = ?result.err(), "pod process no longer followed");
            }
            Err(Error::NotFound(_)) => break,
            // No descriptor, or too many who wait: that says nothing about the shim.
            Err(error) => {
                tracing::warn!(pod = uid, %error, "a pod's process is not followed for a moment");
                tokio::time::sleep(PAUSE).await;
            }
        }
        // A later sandbox of the same pod has a follower of its own.
        if inner.sandbox(&uid) != sandbox {
            return;
        }
    }
    // Where it was stopped on purpose, the end has been recorded already and this finds nothing to do.
    inner.bury(&uid, sandbox).await;
}

async fn follow(inner: &Arc<Inner>, uid: &str, connection: &Connection) -> Result<()> {
    connection.call(&Request::Watch, &[]).await?;
    // From here on nothing is missed; what ended before is on the disk.
    let other = Connection::open(&inner.config.shim(uid))?;
    // Before the question: one that starts while the answer is under way is not in it, and has not ended.
    let known = inner.settled(uid);
    if let (Reply::State(running), _) = other.call(&Request::State, &[]).await? {
        let (shared, name) = (inner.clone(), uid.to_owned());
        blocking(move || {
            shared.compare(&name, &known, &running);
            Ok(())
        })
        .await?;
        inner.tell(uid, "");
    }
    drop(other);
    loop {
        if let (Reply::Ended(id), _) = connection.receive().await? {
            inner.ended(uid, &id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_follower_that_panics_follows_anew() {
        let mut times = 0;
        again_after_panics("a", || {
            times += 1;
            let n = times;
            async move { assert!(n >= 3, "at the {n}. time") }
        })
        .await;
        assert_eq!(times, 3);
    }
}
