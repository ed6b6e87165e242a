//! Following the shims: ends of containers, ends of shims.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::connection::Connection;
use super::records::ContainerRecord;
use super::{Inner, blocking};
use crate::shim::wire::{Reply, Request};
use crate::{ContainerState, Result, cgroup, clock};

/// Exit code of a container whose end nobody saw, as containerd gives it.
const UNKNOWN: i32 = 255;
/// Before a follower that panicked begins anew.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes over what an earlier process of the runtime left running.
pub(super) fn adopt(inner: &Arc<Inner>) {
    let uids: Vec<String> = inner.pods().keys().cloned().collect();
    for uid in uids {
        match pod(inner, &uid) {
            Ok(()) => {
                if let Some(pod) = inner.pods().get_mut(&uid) {
                    pod.ready = true;
                }
            }
            Err(_) => inner.lost(&uid),
        }
    }
}

/// Follows one sandbox until its shim ends.
pub(super) fn pod(inner: &Arc<Inner>, uid: &str) -> Result<()> {
    let mut connection = Some(Connection::open(&inner.config.shim(uid))?);
    let (inner, uid) = (inner.clone(), uid.to_owned());
    let sandbox = inner.sandbox(&uid);
    tokio::spawn(async move {
        let name = uid.clone();
        let attend = move || attend(inner.clone(), uid.clone(), sandbox, connection.take());
        again_after_panics(&name, attend).await;
    });
    Ok(())
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
        // Where it lives, it had only given up on a slow listener.
        let Ok(open) = connection.take().map_or_else(|| Connection::open(&inner.config.shim(&uid)), Ok) else { break };
        let result = follow(&inner, &uid, &open).await;
        tracing::debug!(pod = uid, error = ?result.err(), "pod process no longer followed");
        // A later sandbox of the same pod has a follower of its own.
        if inner.sandbox(&uid) != sandbox {
            return;
        }
    }
    let (shared, gone) = (inner.clone(), uid.clone());
    // Where it was stopped on purpose, the end has been recorded already and this finds nothing to do.
    let _ = blocking(move || {
        shared.lost_sandbox(&gone, sandbox);
        Ok(())
    })
    .await;
    inner.tell(&uid, "");
}

async fn follow(inner: &Arc<Inner>, uid: &str, connection: &Connection) -> Result<()> {
    connection.call(&Request::Watch, &[]).await?;
    // From here on nothing is missed; what ended before is on the disk.
    let other = Connection::open(&inner.config.shim(uid))?;
    // Before the question: one that starts while the answer is under way is not in it, and has not ended.
    let known = inner.running(uid);
    if let (Reply::State(running), _) = other.call(&Request::State, &[]).await? {
        for id in known.into_iter().filter(|id| !running.contains(id)) {
            inner.ended(uid, &id);
        }
    }
    drop(other);
    loop {
        if let (Reply::Ended(id), _) = connection.receive().await? {
            inner.ended(uid, &id);
        }
    }
}

impl Inner {
    /// What tells the sandboxes of a pod apart.
    fn sandbox(&self, uid: &str) -> Option<i64> {
        self.pods().get(uid).map(|pod| pod.created_at)
    }

    /// Records the end of a container that the shim has written down.
    fn ended(&self, uid: &str, id: &str) {
        let state = ContainerRecord::read_state(&self.config, id);
        if let Some(container) = self.pods().get_mut(uid).and_then(|pod| pod.container(id)) {
            match state {
                ContainerState::Exited { .. } => container.state = state,
                _ => close(self, container, "the end of the container could not be recorded"),
            }
        }
        self.tell(uid, id);
    }

    /// Containers of a pod that are remembered as running.
    fn running(&self, uid: &str) -> Vec<String> {
        let pods = self.pods();
        let all = pods.get(uid).map(|pod| pod.containers.as_slice()).unwrap_or_default();
        all.iter().filter(|c| matches!(c.state, ContainerState::Running { .. })).map(|c| c.id.clone()).collect()
    }

    /// Records that the shim of a pod is gone, and kills what it may have left.
    pub(super) fn lost(&self, uid: &str) {
        self.lost_sandbox(uid, self.sandbox(uid));
    }

    /// The same, unless the pod has another sandbox by now. Under the lock: no container of a new one starts meanwhile.
    fn lost_sandbox(&self, uid: &str, sandbox: Option<i64>) {
        let mut pods = self.pods();
        let Some(pod) = pods.get_mut(uid).filter(|pod| Some(pod.created_at) == sandbox) else { return };
        let group = self.config.pod_cgroup(&pod.config.cgroup_parent, uid);
        if !cgroup::procs(&self.hierarchies, &group).is_empty() {
            cgroup::kill(&self.hierarchies, &group);
        }
        pod.ready = false;
        for container in pod.containers.iter_mut().filter(|container| !container.ended()) {
            match ContainerRecord::read_state(&self.config, &container.id) {
                state @ ContainerState::Exited { .. } => container.state = state,
                _ => close(self, container, "the container's pod process has ended unexpectedly"),
            }
        }
    }
}

/// Writes down an end that nobody saw.
fn close(inner: &Inner, container: &mut ContainerRecord, message: &str) {
    let started_at = match container.state {
        ContainerState::Running { started_at } => started_at,
        _ => container.created_at,
    };
    let state = ContainerState::Exited {
        started_at,
        finished_at: clock::now(),
        code: UNKNOWN,
        signal: 0,
        reason: "Unknown".into(),
        message: message.into(),
    };
    if let Err(error) = container.write_state(&inner.config, state.clone()) {
        tracing::warn!(container = container.id, %error, "the end of a container is known in memory only");
        container.state = state;
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
