//! What the records say against what is: after a restart of the agent, and when a shim is gone.
//!
//! A record is made before the deed. What was recorded and never begun is undone; what runs and is not known to run is
//! known from then on; what is known to run and does not has ended.

use std::time::{Duration, Instant};

use super::records::ContainerRecord;
use super::{Inner, blocking};
use crate::{ContainerState, Error, Result, cgroup, clock};

/// Exit code of a container whose end nobody saw, as containerd gives it.
const UNKNOWN: i32 = 255;
/// How long killed processes may take to go before their containers are said to have ended all the same.
const DYING: Duration = Duration::from_secs(10);
/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(5);
/// How long a shim that an earlier agent left may take to say what runs. Who asks is told to ask again after that.
const ANSWER: Duration = Duration::from_secs(10);

/// What to do with a container's record.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Nothing.
    Agrees,
    /// It is so.
    Is(ContainerState),
    /// It has ended, and nobody knows how.
    Lost,
    /// It never began: the record goes.
    NeverBegan,
}

/// Decides for one container: what is remembered, what is on the disk, and whether its shim has it.
fn verdict(remembered: &ContainerState, written: ContainerState, runs: bool, created_at: i64) -> Verdict {
    match (remembered, runs, written) {
        (ContainerState::Exited { .. }, ..) | (ContainerState::Running { .. }, true, _) => Verdict::Agrees,
        (ContainerState::Created, true, state @ ContainerState::Running { .. }) => Verdict::Is(state),
        // The shim could not write it down.
        (ContainerState::Created, true, _) => Verdict::Is(ContainerState::Running { started_at: created_at }),
        (_, false, state @ ContainerState::Exited { .. }) => Verdict::Is(state),
        (ContainerState::Created, false, ContainerState::Created) => Verdict::NeverBegan,
        (_, false, _) => Verdict::Lost,
    }
}

impl Inner {
    /// What tells the sandboxes of a pod apart.
    pub(super) fn sandbox(&self, uid: &str) -> Option<i64> {
        self.pods().get(uid).map(|pod| pod.created_at)
    }

    /// Waits until what the records say of a pod has been compared with its shim.
    pub(super) async fn seen(&self, uid: &str) -> Result<()> {
        let unseen = || self.pods().get(uid).is_some_and(|pod| pod.unseen);
        if !unseen() {
            return Ok(());
        }
        let mut events = self.events.subscribe();
        let wait = async {
            while unseen() {
                // Lagging is as good as an event. The sender lives as long as we do.
                let _ = events.recv().await;
            }
        };
        let waited = tokio::time::timeout(ANSWER, wait).await;
        waited.map_err(|_| Error::Timeout(format!("the process of pod {uid} does not say what runs")))
    }

    /// The containers whose state a shim may be asked about. One that is being started is the starter's alone.
    pub(super) fn settled(&self, uid: &str) -> Vec<String> {
        let pods = self.pods();
        let all = pods.get(uid).map(|pod| pod.containers.as_slice()).unwrap_or_default();
        all.iter().filter(|c| !c.starting && !c.ended()).map(|c| c.id.clone()).collect()
    }

    /// Settles these containers by what the shim says that it has. Touches files.
    pub(super) fn compare(&self, uid: &str, known: &[String], running: &[String]) {
        for id in known {
            self.settle(uid, id, running.contains(id), "the end of the container could not be recorded");
        }
        self.have_seen(uid);
    }

    /// From now on the records are believed. What an earlier agent made for a container before it wrote the record goes.
    fn have_seen(&self, uid: &str) {
        let left = match self.pods().get(uid) {
            Some(pod) if pod.unseen => {
                let group = self.config.pod_cgroup(&pod.config.cgroup_parent, uid);
                let mut left = self.hierarchies.children(&group);
                left.retain(|name| pod.containers.iter().all(|container| container.id != *name));
                left.into_iter().map(|name| group.join(name)).collect()
            }
            _ => Vec::new(),
        };
        for group in left {
            if let Err(error) = self.hierarchies.remove(&group) {
                tracing::warn!(group = %group.display(), %error, "a group that no container has is left");
            }
        }
        if let Some(pod) = self.pods().get_mut(uid) {
            pod.unseen = false;
        }
    }

    /// Settles a start whose answer never came; whether it had begun. Blocks until nothing of it is alive.
    pub(super) fn settle_start(&self, uid: &str, id: &str) -> bool {
        if let Some(container) = self.pods().get_mut(uid).and_then(|pod| pod.container(id)) {
            container.starting = false;
        }
        if let Ok(container) = self.container(id) {
            self.kill_all(&[container]);
        }
        self.settle(uid, id, false, "the container's pod process has ended unexpectedly");
        self.container(id).is_ok()
    }

    fn settle(&self, uid: &str, id: &str, runs: bool, lost: &str) {
        let written = ContainerRecord::read_state(&self.config, id);
        let mut pods = self.pods();
        let Some(pod) = pods.get_mut(uid) else { return };
        let Some(container) = pod.container(id) else { return };
        match verdict(&container.state, written, runs, container.created_at) {
            Verdict::Agrees => {}
            Verdict::Is(state) => {
                container.user = ContainerRecord::read_user(&self.config, id);
                container.state = state;
            }
            Verdict::Lost => {
                drop(pods);
                self.close(uid, id, lost);
            }
            Verdict::NeverBegan => {
                let (record, group) = (container.clone(), container.group.clone());
                pod.containers.retain(|other| other.id != id);
                drop(pods);
                let removed = self.hierarchies.remove(&group).map(drop);
                if let Err(error) = removed.and(crate::remove_tree(&self.config.container(&record.id))) {
                    tracing::warn!(container = id, %error, "what was prepared for a container that never began is left");
                }
            }
        }
    }

    /// Records the end of a container that the shim has written down.
    pub(super) fn ended(&self, uid: &str, id: &str) {
        let state = ContainerRecord::read_state(&self.config, id);
        match state {
            ContainerState::Exited { .. } => self.remember(uid, id, state),
            _ => self.close(uid, id, "the end of the container could not be recorded"),
        }
        self.tell(uid, id);
    }

    /// Records that the shim of a pod is gone, and kills what it may have left. Blocks until that is dead.
    pub(super) fn lost(&self, uid: &str) {
        self.lost_sandbox(uid, self.sandbox(uid));
    }

    /// The same, unless the pod has another sandbox by now.
    pub(super) fn lost_sandbox(&self, uid: &str, sandbox: Option<i64>) {
        let known = {
            let mut pods = self.pods();
            let Some(pod) = pods.get_mut(uid).filter(|pod| Some(pod.created_at) == sandbox) else { return };
            pod.ready = false;
            pod.containers.clone()
        };
        // Group by group: those of a new sandbox, which may begin meanwhile, are others.
        self.kill_all(&known);
        for container in known.iter().filter(|container| !container.starting && !container.ended()) {
            self.settle(uid, &container.id, false, "the container's pod process has ended unexpectedly");
        }
        self.have_seen(uid);
    }

    /// Ends all processes of these containers. Said to have ended, one is started again: two must never run.
    fn kill_all(&self, containers: &[ContainerRecord]) {
        let began = Instant::now();
        for container in containers {
            let alive = || !cgroup::procs(&self.hierarchies, &container.group).is_empty();
            if alive() {
                cgroup::kill(&self.hierarchies, &container.group);
            }
            while alive() {
                if began.elapsed() > DYING {
                    tracing::warn!(container = container.id, "processes of a container do not die");
                    break;
                }
                std::thread::sleep(LOOK);
            }
        }
    }

    /// Writes down an end that nobody saw.
    fn close(&self, uid: &str, id: &str, message: &str) {
        let Ok(container) = self.container(id) else { return };
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
        self.record_end(uid, id, state);
    }

    /// Writes down how a container has ended, and remembers it, where the disk is full in memory alone. The pods are not
    /// locked while the disk works.
    pub(super) fn record_end(&self, uid: &str, id: &str, state: ContainerState) {
        if let Err(error) = ContainerRecord::write_state(&self.config, id, &state) {
            tracing::warn!(container = id, %error, "the end of a container is known in memory only");
        }
        self.remember(uid, id, state);
    }

    /// The first end that is told counts.
    fn remember(&self, uid: &str, id: &str, state: ContainerState) {
        let mut pods = self.pods();
        let container = pods.get_mut(uid).and_then(|pod| pod.container(id));
        if let Some(container) = container.filter(|container| !container.ended()) {
            (container.starting, container.state) = (false, state);
        }
    }

    /// [`Inner::lost_sandbox`], off the async threads; then tells of it.
    pub(super) async fn bury(self: &std::sync::Arc<Self>, uid: &str, sandbox: Option<i64>) {
        let (inner, name) = (self.clone(), uid.to_owned());
        let buried = blocking(move || {
            inner.lost_sandbox(&name, sandbox);
            Ok(())
        });
        if let Err(error) = buried.await {
            tracing::error!(pod = uid, %error, "what is left of a pod was not looked after");
        }
        self.tell(uid, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: ContainerState = ContainerState::Running { started_at: 7 };

    fn exited() -> ContainerState {
        let (reason, message) = (String::new(), String::new());
        ContainerState::Exited { started_at: 7, finished_at: 8, code: 3, signal: 0, reason, message }
    }

    #[test]
    fn a_record_is_what_is() {
        let created = || ContainerState::Created;
        let of = |remembered: ContainerState, written, runs| verdict(&remembered, written, runs, 5);
        // The agent was killed between the record and the start.
        assert_eq!(of(created(), created(), false), Verdict::NeverBegan);
        // It was killed before it heard of the start, or of the end.
        assert_eq!(of(created(), RUNNING, true), Verdict::Is(RUNNING));
        assert_eq!(of(created(), exited(), false), Verdict::Is(exited()));
        assert_eq!(of(RUNNING, exited(), false), Verdict::Is(exited()));
        assert_eq!(of(RUNNING, RUNNING, true), Verdict::Agrees);
        // The disk was full.
        assert_eq!(of(created(), created(), true), Verdict::Is(ContainerState::Running { started_at: 5 }));
        assert_eq!(of(RUNNING, RUNNING, false), Verdict::Lost);
        assert_eq!(of(created(), RUNNING, false), Verdict::Lost);
        assert_eq!(of(exited(), RUNNING, true), Verdict::Agrees);
    }
}
