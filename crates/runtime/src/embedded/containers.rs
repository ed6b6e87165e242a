//! Containers: start, stop, remove, resize.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::connection::Connection;
use super::records::ContainerRecord;
use super::{Inner, blocking, system};
use crate::shim::wire::{Reply, Request, Start};
use crate::{ContainerConfig, ContainerState, Error, Resources, Result, cgroup, clock, disk};

/// How long SIGKILL may take before the container is reported as stuck (in an uninterruptible wait, say).
const KILL_TIMEOUT: Duration = Duration::from_secs(30);
/// Exit code and reason of a container that could not start, as containerd gives them.
const START_ERROR: (i32, &str) = (128, "StartError");

impl Inner {
    /// A copy of a container's record.
    pub(super) fn container(&self, id: &str) -> Result<ContainerRecord> {
        let mut pods = self.pods();
        let found = pods.values_mut().find_map(|pod| pod.container(id).cloned());
        found.ok_or_else(|| Error::NotFound(format!("container {id}")))
    }

    /// Layers that containers stand on: the image store must keep them.
    pub(super) fn used_layers(&self) -> Vec<String> {
        let pods = self.pods();
        pods.values().flat_map(|pod| &pod.containers).flat_map(|container| container.layers.iter().cloned()).collect()
    }

    pub(super) async fn start_container(self: &Arc<Self>, pod_uid: &str, config: &ContainerConfig) -> Result<String> {
        let pod = self.pods().get(pod_uid).cloned().ok_or_else(|| Error::NotFound(format!("pod {pod_uid}")))?;
        let (inner, wanted) = (self.clone(), config.clone());
        let record = blocking(move || inner.prepare_container(&pod, wanted)).await?;
        let id = record.id.clone();
        let start = Start {
            id: id.clone(),
            tty: config.tty,
            stdin: config.stdin,
            log: record.log.clone(),
            group: record.group.clone(),
            pid_of: config.pid_of.clone(),
        };
        match self.pods().get_mut(pod_uid) {
            Some(pod) => pod.containers.push(record),
            None => return Err(Error::NotFound(format!("pod {pod_uid}"))),
        }
        match self.ask_to_start(pod_uid, start).await {
            Ok(started_at) => self.has_started(pod_uid, &id, started_at)?,
            Err(Error::NoSandbox(why)) => return self.not_started(pod_uid, id, why).await,
            Err(error) => {
                let (inner, uid, state) = (self.clone(), pod_uid.to_owned(), refused(&error));
                blocking(move || {
                    inner.record_end(&uid, &id, state);
                    Ok(())
                })
                .await?;
                return Err(error);
            }
        }
        self.tell(pod_uid, &id);
        Ok(id)
    }

    fn has_started(&self, pod_uid: &str, id: &str, started_at: i64) -> Result<()> {
        let user = ContainerRecord::read_user(&self.config, id);
        let mut pods = self.pods();
        let container = pods.get_mut(pod_uid).and_then(|pod| pod.container(id));
        let container = container.ok_or_else(|| Error::NotFound(format!("container {id}")))?;
        (container.starting, container.user) = (false, user);
        // A short one may have been recorded as ended already.
        if container.state == ContainerState::Created {
            container.state = ContainerState::Running { started_at };
        }
        Ok(())
    }

    /// The pod's process is gone, or is going: whether the container had begun with it, its files say. Where it had not,
    /// its record goes, and the error is that there is no sandbox.
    async fn not_started(self: &Arc<Self>, pod_uid: &str, id: String, why: String) -> Result<String> {
        let (inner, uid, name) = (self.clone(), pod_uid.to_owned(), id.clone());
        let began = blocking(move || Ok(inner.settle_start(&uid, &name))).await?;
        self.tell(pod_uid, &id);
        if began { Ok(id) } else { Err(Error::NoSandbox(why)) }
    }

    async fn ask_to_start(&self, pod_uid: &str, start: Start) -> Result<i64> {
        let none = |error: Error| Error::NoSandbox(error.to_string());
        let shim = Connection::open(&self.config.shim(pod_uid)).map_err(none)?;
        match shim.call(&Request::Start(start), &[]).await {
            Ok((Reply::Running { started_at, .. }, _)) => Ok(started_at),
            Ok((other, _)) => Err(Error::System(format!("start a container: unexpected answer {other:?}"))),
            // It ended before it could answer.
            Err(error @ Error::System(_)) => Err(none(error)),
            Err(error) => Err(error),
        }
    }

    async fn signal(&self, container: &ContainerRecord, signal: i32) -> Result<()> {
        let shim = Connection::open(&self.config.shim(&container.pod_uid))?;
        match shim.call(&Request::Signal { id: container.id.clone(), signal }, &[]).await {
            // It has ended meanwhile.
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn stop_container(self: &Arc<Self>, id: &str, grace_seconds: i64) -> Result<()> {
        let container = match self.container(id) {
            Ok(container) if container.ended() => return Ok(()),
            Ok(container) => container,
            Err(_) => return Ok(()),
        };
        match Connection::open(&self.config.shim(&container.pod_uid)) {
            Ok(_) => {}
            Err(Error::NotFound(_)) => {
                // Its pod's process is gone, and it went with it.
                self.bury(&container.pod_uid, self.sandbox(&container.pod_uid)).await;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if grace_seconds > 0 {
            self.signal(&container, container.stop_signal).await?;
            let grace = Duration::from_secs(grace_seconds.unsigned_abs());
            if tokio::time::timeout(grace, self.wait_ended(id)).await.is_ok() {
                return Ok(());
            }
        }
        self.signal(&container, Signal::SIGKILL as i32).await?;
        match tokio::time::timeout(KILL_TIMEOUT, self.wait_ended(id)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Timeout(format!("container {id} does not end after SIGKILL"))),
        }
    }

    /// Waits for the end of a container; its exit code.
    pub(super) async fn wait_ended(&self, id: &str) -> i32 {
        let mut events = self.events.subscribe();
        loop {
            match self.container(id).map(|container| container.state) {
                Ok(ContainerState::Exited { code, .. }) => return code,
                Ok(_) => {}
                Err(_) => return 0,
            }
            // Lagging is as good as an event: the state is looked at again. The sender lives as long as we do.
            let _ = events.recv().await;
        }
    }

    pub(super) async fn remove_container(self: &Arc<Self>, id: &str) -> Result<()> {
        let Ok(container) = self.container(id) else { return Ok(()) };
        if !container.ended() {
            self.stop_container(id, 0).await?;
        }
        let inner = self.clone();
        let (uid, name) = (container.pod_uid.clone(), id.to_owned());
        blocking(move || {
            let fail = |e| system(format_args!("remove container {name}"))(e);
            inner.hierarchies.remove(&container.group).map_err(fail)?;
            match std::fs::remove_file(&container.log) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
                _ => {}
            }
            crate::remove_tree(&inner.config.container(&name)).map_err(fail)
        })
        .await?;
        if let Some(pod) = self.pods().get_mut(&uid) {
            pod.containers.retain(|container| container.id != id);
        }
        Ok(())
    }

    pub(super) fn update_container(&self, id: &str, resources: &Resources) -> Result<()> {
        let container = self.container(id)?;
        cgroup::apply(&self.hierarchies, &container.group, resources, true)
            .map_err(system(format_args!("resize container {id}")))?;
        let mut pods = self.pods();
        if let Some(record) = pods.values_mut().find_map(|pod| pod.container(id)) {
            record.config.resources = resources.clone();
            let path = self.config.container(id).join("container.json");
            disk::write_json(&path, record, false).map_err(system(format_args!("record container {id}")))?;
        }
        Ok(())
    }

    pub(super) async fn reopen_log(&self, id: &str) -> Result<()> {
        let container = self.container(id)?;
        let shim = Connection::open(&self.config.shim(&container.pod_uid))?;
        shim.call(&Request::ReopenLog { id: id.to_owned() }, &[]).await.map(drop)
    }
}

fn refused(error: &Error) -> ContainerState {
    let now = clock::now();
    let (code, reason) = START_ERROR;
    ContainerState::Exited {
        started_at: now,
        finished_at: now,
        code,
        signal: 0,
        reason: reason.into(),
        message: error.to_string(),
    }
}
